"""The files of a result in its folder: written anew, and those of the result before removed.

What a result before wrote is read from its own ``result.json``: no other file is ever removed.
"""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from api.cli.output import UsageFault, pixels_of
from api.render.table import to_csv, to_rows
from api.schemas.answers import ConceptResult, MaskOut, SegmentAnswer
from api.schemas.run_answers import RunAnswer, TargetOut
from segmenter.formats.raster.image import encode_mask_png

RESULT, OVERLAY, MEASURES = "result.json", "overlay.png", "measures.csv"
# Of a volume or video.
FRAMES, LABELS, OVERVIEW = "frames.json", "labels.nii.gz", "overview.png"


class _Mask(BaseModel):
    # Nothing that a file says becomes a path but these ids.
    id: Annotated[str, Field(pattern=r"^m[1-9][0-9]{0,5}$")]


class _Masked(BaseModel):
    masks: tuple[_Mask, ...]


class _ImageResult(BaseModel):
    """As much of a result of this or an older version as names its files; the rest is ignored."""

    provenance: object
    image: object
    targets: tuple[_Masked, ...] = ()
    results: tuple[_Masked, ...] = ()

    def names(self) -> set[str]:
        masks = {
            f"{mask.id}.png" for found in (*self.targets, *self.results) for mask in found.masks
        }
        return masks | {RESULT, OVERLAY, MEASURES}


class _VolumeResult(BaseModel):
    provenance: object
    sequence: object

    def names(self) -> set[str]:
        return {RESULT, FRAMES, LABELS, OVERVIEW}


_EARLIER: TypeAdapter[_ImageResult | _VolumeResult] = TypeAdapter(_ImageResult | _VolumeResult)


def names_in(folder: Path) -> set[str]:
    """Return the names of the files that the result in a folder says it has; none without one."""
    try:
        return _EARLIER.validate_json((folder / RESULT).read_bytes()).names()
    except (OSError, ValidationError):
        return set()


def is_whole(folder: Path) -> bool:
    """Tell whether a result is there with all the files that results always have."""
    names = names_in(folder)
    return bool(names) and all((folder / name).is_file() for name in names - {MEASURES})


def remove(folder: Path, names: Iterable[str]) -> None:
    """Remove files by name; what is no file stays."""
    for name in names:
        with suppress(FileNotFoundError, IsADirectoryError, PermissionError):
            (folder / name).unlink()


def write_results(
    folder: Path,
    answer: SegmentAnswer | RunAnswer,
    masks: Iterable[MaskOut],
    overlay: bytes,
    *,
    name: str | None = None,
) -> None:
    """Write ``result.json``, ``measures.csv``, ``overlay.png`` and a PNG per mask into a folder.

    Args:
        folder: is made if it is not there.
        answer: of one picture.
        masks: of it.
        overlay: PNG.
        name: of the picture, for the table.

    Raises:
        UsageFault: it cannot be written to.
    """
    # Ids are ours (m1, m2 ...): nothing a model or caller said becomes a path.
    pngs = {f"{mask.id}.png": encode_mask_png(pixels_of(mask)) for mask in masks}
    table = to_csv(to_rows(answer, name)).encode()
    write_files(folder, {RESULT: to_json(answer), MEASURES: table, OVERLAY: overlay, **pngs})


def masks_of(results: Iterable[ConceptResult | TargetOut]) -> list[MaskOut]:
    """All masks of prompts, or of a run's targets."""
    return [mask for result in results for mask in result.masks]


def to_json(answer: BaseModel, indent: int = 2) -> bytes:
    """Write an answer as the text of a file."""
    return (answer.model_dump_json(indent=indent) + "\n").encode()


def write_files(folder: Path, contents: Mapping[str, bytes]) -> None:
    """Write the files of a result into a folder, by name, in place of those of the one before.

    Raises:
        UsageFault: it cannot be written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        remove(folder, names_in(folder) - contents.keys())
        # The result first: whatever ends this, the files it names are known to be ours.
        for name in sorted(contents, key=lambda name: name != RESULT):
            (folder / name).write_bytes(contents[name])
    except OSError as error:
        raise UsageFault(f"cannot write to {folder}: {error.strerror}") from error
