"""``medsam3 segment`` on a volume or video: NIfTI, MP4, GIF, an archive, a folder or several files.

``--prompt`` or ``--frame`` make a sequence of what may also be one image (DICOM, TIFF). Extends the
command of `api.cli.predict`, which stays as it is for one image.
"""

import argparse
import asyncio
from collections.abc import Iterator, Sequence
from io import BytesIO
from itertools import islice
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

from api.bootstrap.parts import open_services
from api.bootstrap.setup import Setup
from api.cli import predict as cli_predict
from api.cli.inputs import STDIN, max_input_bytes, read_input
from api.cli.output import OK, Bar, Commands, UsageFault, print_footer, read_image, say, tell
from api.cli.volume.files import write_volume
from api.cli.volume.overview import draw_overview
from api.render.volumes import to_frames, to_volume
from api.schemas.faults import checked
from api.schemas.shortcuts import box_of_text
from api.schemas.volume_answers import (
    FramesAnswer,
    SkippedOut,
    VolumeAnswer,
    VolumeObjectOut,
)
from api.schemas.volume_requests import VolumeBody, window_of_text
from segmenter.formats.archive import is_hidden
from segmenter.formats.sequences import is_sequence
from segmenter.queue.messages import to_error
from segmenter.services import frames_opener
from segmenter.volumes.contract import MAX_FILES, VolumeStatus
from segmenter.volumes.jobs import Volumes
from segmenter.volumes.plan import options_of
from segmenter.volumes.store import ReadSome

POLL_S = 0.1


class Found(NamedTuple):
    """A finished job, and what is written to files."""

    answer: VolumeAnswer
    frames: FramesAnswer
    label_map: bytes
    overview: bytes


def add_commands(commands: Commands) -> None:
    """Add what sequences need to the command that `api.cli.predict` has declared."""
    segment = commands.choices["segment"]
    segment.add_argument("more", nargs="*", type=Path, metavar="FILE", help="of a DICOM series")
    group = segment.add_argument_group(
        "volumes and clips (NIfTI, NRRD, MetaImage, DICOM, video, GIF, TIFF)"
    )
    group.add_argument("--prompt", help="one concept, sought on every frame")
    group.add_argument("--frame", type=int, help="the one that --box is on; it is followed")
    group.add_argument("--first", type=int, default=0, help="first frame, from 0")
    group.add_argument("--last", type=int, help="last frame")
    group.add_argument("--window", metavar="CENTER,WIDTH", help="grey window")
    group.add_argument("--preset", help="a named grey window for CT, for example lung")
    group.add_argument("--series", help="of several DICOM series: its number, from 1, or its UID")
    group.add_argument("--volume", type=int, help="of several volumes (phases, times), from 1")
    segment.set_defaults(run=run_segment)


def run_segment(arguments: argparse.Namespace, setup: Setup) -> int:
    """Segment one image, or a sequence."""
    given = [arguments.image, *arguments.more]
    if len(given) == 1 and not arguments.image.is_dir():
        content = read_input(arguments.image, max_input_bytes(setup.settings))
        if not _means_sequence(arguments, content):
            _refuse_unused(arguments)
            return cli_predict.run_segment(arguments, setup, content)
        contents, names = [content], [arguments.image.name if given != [STDIN] else None]
        body = checked(VolumeBody, fields_of(arguments))
    else:
        if STDIN in given:
            raise UsageFault("- is one file: give it alone, without others beside it")
        body = checked(VolumeBody, fields_of(arguments))
        paths = files_of(given)
        contents = read_files(paths, setup.settings.for_segmenter().volume.max_bytes)
        names = [path.name for path in paths]
    found = asyncio.run(_segment(setup, body, contents, names))
    if arguments.out:
        write_volume(arguments.out, *found)
        say(f"written to {arguments.out}/")
    tell(found.answer, arguments, _print)
    return OK


def _means_sequence(arguments: argparse.Namespace, content: bytes) -> bool:
    asked = arguments.prompt is not None or arguments.frame is not None
    return asked or is_sequence(content)


def _refuse_unused(arguments: argparse.Namespace) -> None:
    """Refuse options of a sequence where one image is segmented; raises UsageFault."""
    for name in ("window", "preset", "series", "volume", "first", "last"):
        if getattr(arguments, name):
            raise UsageFault(
                f"--{name} is of volumes and clips, and this is one image; --prompt WORDS in place"
                " of --concept reads DICOM or TIFF as a sequence"
            )


def fields_of(arguments: argparse.Namespace) -> dict[str, object]:
    """Take the fields of a `VolumeBody` from a command line.

    Raises:
        UsageFault: options of one image.
    """
    asked = [*arguments.concept, *([arguments.prompt] if arguments.prompt else [])]
    if len(asked) > 1:
        raise UsageFault("a sequence takes one --concept (or --prompt, which is the same)")
    if len(arguments.box) > 1:
        raise UsageFault("a sequence takes one --box")
    names = ("frame", "first", "last", "threshold", "preset", "series", "volume")
    fields: dict[str, object] = {name: getattr(arguments, name) for name in names}
    fields["prompt"] = asked[0] if asked else None
    if arguments.box:
        fields["box"] = box_of_text(arguments.box[0])
    if arguments.window:
        fields["window"] = window_of_text(arguments.window)
    return fields


def files_of(paths: Sequence[Path]) -> list[Path]:
    """Replace folders by the files in them and below, by name; hidden ones are left out.

    Raises:
        UsageFault: a path does not exist, there is no file, or there are too many.
    """
    files: list[Path] = []
    for path in paths:
        if not path.exists():
            raise UsageFault(f"there is no {path}")
        inside = _below(path) if path.is_dir() else [path]
        files += [each for each in islice(inside, MAX_FILES + 1) if each.is_file()]
    if not files:
        raise UsageFault("there is no file in the folder")
    if len(files) > MAX_FILES:
        raise UsageFault(f"more than {MAX_FILES} files, which is the limit")
    return files


def _below(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        if is_hidden(f"{path.parent.name}/{path.name}"):
            continue
        if path.is_dir() and not path.is_symlink():
            yield from _below(path)
        else:
            yield path


def read_files(paths: Sequence[Path], max_bytes: int) -> list[bytes]:
    """Read files; one may be empty where there are several.

    Raises:
        UsageFault: one cannot be read, or they are too large together.
    """
    if len(paths) == 1:
        return [read_image(paths[0])]
    try:
        total = sum(path.stat().st_size for path in paths)
        if total > max_bytes:
            raise UsageFault(f"{total} bytes in {len(paths)} files, the limit is {max_bytes}")
        return [path.read_bytes() for path in paths]
    except OSError as error:
        raise UsageFault(f"cannot read {error.filename}: {error.strerror}") from error


async def _segment(
    setup: Setup, body: VolumeBody, contents: list[bytes], names: Sequence[str | None]
) -> Found:
    say("loading the model")
    async with open_services(setup.embedded()) as services:
        volumes, request = services.volumes, body.to_request()
        files = [_reader(each) for each in contents]
        taken = await volumes.create(uuid4().hex, files, request, names)
        job, record = taken.record.public_id, taken.record
        shape = record.shape
        say(f"{shape.frames} frames of {shape.width} x {shape.height}, {shape.format}; looking")
        status = await _follow(volumes, job)
        frames = await volumes.frames(job, record.first, record.last)
        label_map = await volumes.label_map(job)
    reader = frames_opener(setup.settings.for_segmenter().volume)
    opened = reader.open(contents, options_of(request))
    answer = to_volume(status)
    overview = draw_overview(opened, frames, name_of(answer))
    return Found(answer, to_frames(frames, None), label_map, overview)


async def _follow(volumes: Volumes, job: str) -> VolumeStatus:
    """Show progress until a job ends well.

    Raises:
        SegmenterError: what it ended with.
    """
    bar = Bar()
    while True:
        status = await volumes.status(job)
        bar.show(status.done, status.record.total)
        if status.failure is not None:
            raise to_error(status.failure)
        if status.state == "done":
            return status
        await asyncio.sleep(POLL_S)


def _reader(content: bytes) -> ReadSome:
    stream = BytesIO(content)

    async def read(size: int) -> bytes:
        return stream.read(size)

    return read


def _print(answer: VolumeAnswer) -> None:
    name = name_of(answer)
    objects = answer.objects or ()
    if not objects:
        print(f"{name}: {answer.reason or 'looked and found none'}")
    else:
        print(f"{name}: {len(objects)} found")
    for found in objects:
        print(describe_object(found))
    for skipped in answer.sequence.skipped:
        print(describe_skipped(skipped))
    seconds = answer.provenance.seconds if answer.provenance else 0.0
    print_footer(answer.needs_review, seconds)


def name_of(answer: VolumeAnswer) -> str:
    """Name what was looked for: the model's name of it, the caller's, or a box."""
    return answer.concept or answer.asked.prompt or "box"


def describe_skipped(skipped: SkippedOut) -> str:
    """Say in one line which file is no part of the sequence, and what it is."""
    name = f" ({skipped.name})" if skipped.name else ""
    return f"  skipped file {skipped.file}{name}: {skipped.what}"


def describe_object(found: VolumeObjectOut) -> str:
    """Say in one line what an object is."""
    size = f"{found.voxels} voxels"
    if found.volume_ml is not None:
        size += f" ({found.volume_ml:.2f} ml)"
    if found.longest is not None:
        size += f", longest {found.longest.mm:.1f} mm"
    place = f"frames {found.first} to {found.last}"
    if found.gaps:
        place += f" without {', '.join(map(str, found.gaps))}"
    single = ", on one frame only" if found.single else ""
    return f"  {found.object_id}  {place}: {size}, lowest score {found.lowest_joint:.2f}{single}"
