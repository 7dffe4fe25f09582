"""NRRD and MetaImage: frames, sizes and label maps as SimpleITK has them."""

import bz2
import gzip
import io
import tracemalloc
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK

from segmenter.errors import BrokenImage, ImageTooLarge, InvalidPrompt, UnsupportedImage
from segmenter.formats.frames import Frames, ReadOptions
from segmenter.formats.limits import Limits
from segmenter.formats.sequences import open_frames, working_bytes
from segmenter.formats.volumes.labels import write_labels
from tests.segmenter.formats.build import AS_STORED, shown_values
from tests.segmenter.formats.volumes.headers import numbered

SHAPE = (5, 6, 4)


def opened(files: list[bytes], volume: int | None = None) -> Frames:
    return open_frames(files, Limits(), ReadOptions(window=AS_STORED, volume=volume))


def in_order(values: np.ndarray, kind: str = "<i2") -> bytes:
    return values.astype(kind).tobytes(order="F")


def nrrd(
    *lines: str,
    values: np.ndarray | None = None,
    kind: str = "short",
    raw: bytes | None = None,
    encoding: str = "raw",
    attached: bool = True,
) -> list[bytes]:
    stored = numbered(SHAPE) if values is None else values
    head = [
        "NRRD0004",
        "# a comment",
        f"type: {kind}",
        f"dimension: {stored.ndim}",
        f"sizes: {' '.join(map(str, stored.shape))}",
        f"encoding: {encoding}",
        *([] if any(line.startswith("endian") for line in lines) else ["endian: little"]),
        *lines,
        "Patient:=Doe^Jane",
    ]
    voxels = in_order(stored) if raw is None else raw
    if attached:
        return ["\n".join([*head, "", ""]).encode() + voxels]
    return ["\n".join([*head, "data file: /etc/passwd", ""]).encode(), voxels]


PLACED = (
    "space: left-posterior-superior",
    "space directions: (0.645,0.273,0) (-0.351,0.829,0) (0,0,3)",
    "space origin: (10,-20,30.5)",
)
STRAIGHT = ("space directions: (0.7,0,0) (0,0.9,0) (0,0,3)", "space origin: (1,2,3)")


def meta(*lines: str, values: np.ndarray | None = None, raw: bytes | None = None) -> list[bytes]:
    """An attached file, or a detached one if a line names a data file."""
    stored = numbered(SHAPE) if values is None else values
    named = [line for line in lines if line.startswith("ElementDataFile")]
    head = [
        "ObjectType = Image",
        f"NDims = {stored.ndim}",
        f"DimSize = {' '.join(map(str, stored.shape))}",
        *(
            []
            if any(line.startswith("ElementType") for line in lines)
            else ["ElementType = MET_SHORT"]
        ),
        *[line for line in lines if line not in named],
        *(named or ["ElementDataFile = LOCAL"]),
    ]
    voxels = in_order(stored) if raw is None else raw
    header = "\n".join([*head, ""]).encode()
    return [header, voxels] if named else [header + voxels]


TURNED = (
    "TransformMatrix = 0.921060994 0.389418342 0 -0.389418342 0.921060994 0 0 0 1",
    "Offset = 10 -20 30.5",
    "ElementSpacing = 0.7 0.9 3",
)
BIG = in_order(numbered(SHAPE), ">i2")
LITTLE = in_order(numbered(SHAPE))
TEXT = " ".join(str(value) for value in numbered(SHAPE).ravel(order="F")).encode()

# What SimpleITK reads too.
VOLUMES: dict[str, list[bytes]] = {
    "nrrd": nrrd(*PLACED),
    "nrrd, RAS": nrrd("space: right-anterior-superior", *STRAIGHT),
    "nrrd, short name": nrrd("space: RAS", *STRAIGHT),
    "nrrd, LAS": nrrd("space: left-anterior-superior", *STRAIGHT),
    "nrrd, no named space": nrrd("space dimension: 3", *STRAIGHT),
    "nrrd, spacings alone": nrrd("spacings: 0.7 0.9 3"),
    "nrrd, spacings and axis mins": nrrd("spacings: 0.7 0.9 3", "axis mins: 1 2 3"),
    "nrrd, gzip": nrrd(*PLACED, encoding="gzip", raw=gzip.compress(LITTLE)),
    "nrrd, ascii": nrrd(*PLACED, encoding="ascii", raw=TEXT),
    "nrrd, big endian": nrrd(*PLACED, "endian: big", raw=BIG),
    "nrrd, bytes skipped": nrrd(*PLACED, "byte skip: 7", raw=bytes(7) + LITTLE),
    "nrrd, at the end": nrrd(*PLACED, "byte skip: -1", raw=bytes(9) + LITTLE),
    "nrrd, lines skipped": nrrd(*PLACED, "line skip: 2", raw=b"one\ntwo\n" + LITTLE),
    "nrrd, float": nrrd(*PLACED, kind="float", raw=in_order(numbered(SHAPE), "<f4")),
    "nrrd, uint8": nrrd(*PLACED, kind="uint8", raw=in_order(numbered(SHAPE), "<u1")),
    "nrrd, int64": nrrd(*PLACED, kind="int64", raw=in_order(numbered(SHAPE), "<i8")),
    "mha": meta(*TURNED),
    "mha, deflated": meta(
        *TURNED,
        "CompressedData = True",
        f"CompressedDataSize = {len(zlib.compress(LITTLE))}",
        raw=zlib.compress(LITTLE),
    ),
    "mha, big endian": meta(*TURNED, "BinaryDataByteOrderMSB = True", raw=BIG),
    "mha, other names": meta(
        "Orientation = 0 1 0 1 0 0 0 0 -1", "Position = 1 2 3", "ElementSpacing = 0.7 0.9 3"
    ),
    "mha, element size": meta("ElementSize = 0.7 0.9 3"),
    "mha, turned about a point": meta(*TURNED, "CenterOfRotation = 5 6 7"),
    "mha, float": meta(*TURNED, "ElementType = MET_FLOAT", raw=in_order(numbered(SHAPE), "<f4")),
    "mha, long": meta(*TURNED, "ElementType = MET_LONG", raw=in_order(numbered(SHAPE), "<i4")),
}
# What it does not read, or not truly.
UNCHECKED = {
    "nrrd, bzip2": nrrd(*PLACED, encoding="bzip2", raw=bz2.compress(LITTLE)),
    "mha, text": meta(*TURNED, "BinaryData = False", raw=TEXT),
    "mha, deflated, of unknown size": meta(
        *TURNED, "CompressedData = True", raw=zlib.compress(LITTLE)
    ),
}


@pytest.mark.parametrize("files", VOLUMES.values(), ids=VOLUMES.keys())
def test_a_label_map_lies_where_simpleitk_puts_its_volume(
    files: list[bytes], tmp_path: Path
) -> None:
    frames = opened(files)
    labels = shown_values(frames).astype(np.uint16)
    path = tmp_path / ("source.nrrd" if files[0].startswith(b"NRRD") else "source.mha")
    path.write_bytes(files[0])
    source = SimpleITK.ReadImage(str(path))
    (tmp_path / "labels.nii.gz").write_bytes(write_labels(labels, frames))
    written = SimpleITK.ReadImage(str(tmp_path / "labels.nii.gz"))

    values = SimpleITK.GetArrayFromImage(source).T
    assert np.array_equal(values, numbered(SHAPE))
    assert np.array_equal(SimpleITK.GetArrayFromImage(written).T, values)
    for index in np.ndindex(*SHAPE):
        at = [int(each) for each in index]
        here = written.TransformIndexToPhysicalPoint(at)
        assert np.allclose(here, source.TransformIndexToPhysicalPoint(at), atol=1e-4)
    spacing = frames.geometry.spacing
    assert spacing is not None
    told = (spacing.column_mm, spacing.row_mm, frames.geometry.slice_mm or 0.0)
    assert sorted(told) == pytest.approx(sorted(source.GetSpacing()), rel=1e-3)


@pytest.mark.parametrize("make", [nrrd, meta], ids=["nrrd", "mha"])
def test_what_simpleitk_writes_is_read(make: Any, tmp_path: Path) -> None:
    image = SimpleITK.GetImageFromArray(numbered(SHAPE))
    image.SetSpacing((0.5, 0.6, 2.5))
    suffix = ".nrrd" if make is nrrd else ".mha"
    for compressed in (False, True):
        path = tmp_path / f"written{suffix}"
        SimpleITK.WriteImage(image, str(path), compressed)
        found = opened([path.read_bytes()])
        assert np.array_equal(shown_values(found), SimpleITK.GetArrayFromImage(image))


@pytest.mark.parametrize("files", UNCHECKED.values(), ids=UNCHECKED.keys())
def test_other_packings_hold_the_same_voxels(files: list[bytes]) -> None:
    whole = shown_values(opened(nrrd(*PLACED) if files[0].startswith(b"NRRD") else meta(*TURNED)))
    assert np.array_equal(shown_values(opened(files)), whole)


DETACHED = {
    "nhdr": nrrd(*PLACED, attached=False),
    "nhdr, gzip": nrrd(*PLACED, attached=False, encoding="gzip", raw=gzip.compress(LITTLE)),
    "mhd": meta(*TURNED, "ElementDataFile = ../../etc/passwd"),
    "mhd, deflated": meta(
        *TURNED, "CompressedData = True", "ElementDataFile = a.zraw", raw=zlib.compress(LITTLE)
    ),
    "mhd, skipped": meta(*TURNED, "HeaderSize = 3", "ElementDataFile = a.raw", raw=b"abc" + LITTLE),
    "mhd, at the end": meta(*TURNED, "HeaderSize = -1", "ElementDataFile = a", raw=b"ab" + LITTLE),
}


@pytest.mark.parametrize("files", DETACHED.values(), ids=DETACHED.keys())
def test_a_header_and_its_voxels_are_read_from_one_upload(files: list[bytes]) -> None:
    whole = shown_values(opened(nrrd(*PLACED) if files[0].startswith(b"NRRD") else meta(*TURNED)))
    assert np.array_equal(shown_values(opened(files)), whole)
    assert np.array_equal(shown_values(opened(files[::-1])), whole)
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for number, file in enumerate(files):
            archive.writestr(f"{number}", file)
    assert np.array_equal(shown_values(opened([stream.getvalue()])), whole)


@pytest.mark.parametrize("files", DETACHED.values(), ids=DETACHED.keys())
def test_a_header_alone_never_reads_the_file_that_it_names(files: list[bytes]) -> None:
    with pytest.raises(UnsupportedImage, match="without its voxels; send"):
        opened(files[:1])


LISTED = numbered((3, *SHAPE))
LAST = numbered((*SHAPE, 3))


@pytest.mark.parametrize("number", [None, 1, 3])
@pytest.mark.parametrize(
    ("files", "of"),
    [
        (
            nrrd(
                "space: LPS",
                "space directions: none (0.7,0,0) (0,0.9,0) (0,0,3)",
                "kinds: list domain domain domain",
                values=LISTED,
            ),
            lambda index: LISTED[index],
        ),
        (
            nrrd(
                "space: LPS",
                "space directions: none (0.7,0,0) (0,0.9,0) (0,0,3)",
                values=LISTED,
                encoding="gzip",
                raw=gzip.compress(in_order(LISTED)),
            ),
            lambda index: LISTED[index],
        ),
        (
            nrrd(
                "space: LPS",
                "space directions: (0.7,0,0) (0,0.9,0) (0,0,3) none",
                values=LAST,
                encoding="bz2",
                raw=bz2.compress(in_order(LAST)),
            ),
            lambda index: LAST[..., index],
        ),
        (
            nrrd(
                "space: left-posterior-superior-time",
                "space directions: (0.7,0,0,0) (0,0.9,0,0) (0,0,3,0) (0,0,0,1)",
                values=LAST,
            ),
            lambda index: LAST[..., index],
        ),
        (nrrd(values=LAST), lambda index: LAST[..., index]),
        (meta("ElementSpacing = 1 1 3 1", values=LAST), lambda index: LAST[..., index]),
        (
            meta("ElementNumberOfChannels = 3", raw=in_order(LISTED)),
            lambda index: LISTED[index],
        ),
    ],
    ids=["list", "list, gzip", "last, bzip2", "time", "no kinds", "mha", "channels"],
)
def test_one_of_several_volumes_is_chosen(
    files: list[bytes], of: Callable[[int], np.ndarray], number: int | None
) -> None:
    frames = opened(files, number)
    expected = frames.source.shown(of((number or 1) - 1))
    # Values above the window are white.
    assert np.array_equal(shown_values(frames), np.minimum(expected, 255))
    assert f"volume {number or 1} of 3" in frames.rendering
    with pytest.raises(InvalidPrompt, match="3 volumes"):
        opened(files, 4)


@pytest.mark.parametrize("channels", [3, 4])
def test_colours_are_shown_as_stored(channels: int) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (channels, *SHAPE), np.uint8)
    raw = in_order(pixels, "<u1")
    kind = "RGB-color" if channels == 3 else "RGBA-color"
    files = [
        nrrd(f"kinds: {kind} domain domain domain", values=pixels, kind="uchar", raw=raw),
        meta(f"ElementNumberOfChannels = {channels}", "ElementType = MET_UCHAR_ARRAY", raw=raw),
        nrrd(
            f"kinds: {kind} space space space",
            values=pixels,
            kind="uchar",
            encoding="gz",
            raw=gzip.compress(raw),
        ),
    ]
    for each in files:
        frames = opened(each)
        shown = np.stack([frames.frame(index) for index in range(frames.count)])
        assert np.array_equal(shown, frames.source.shown(np.moveaxis(pixels, 0, -1))[..., :3])


def test_units_of_space_become_millimetres() -> None:
    units = 'space units: "um" "um" "um"'
    frames = opened(nrrd("space: LPS", "space directions: (700,0,0) (0,900,0) (0,0,3000)", units))
    assert frames.geometry.slice_mm == pytest.approx(3.0)


@pytest.mark.parametrize("unit", ["um", "µm", "μm", "micron", "Micrometers"])
def test_every_name_of_a_unit_becomes_millimetres(unit: str) -> None:
    places = ("space: LPS", "space directions: (700,0,0) (0,900,0) (0,0,3000)")
    units = f'space units: "{unit}" "{unit}" "{unit}"'
    assert opened(nrrd(*places, units)).geometry.slice_mm == pytest.approx(3.0)
    lines = (f"DistanceUnits = {unit}", "ElementSpacing = 700 900 3000")
    frames = opened(meta(*lines))
    assert frames.geometry.slice_mm == pytest.approx(3.0)
    assert "converted to millimetres from DistanceUnits" in frames.rendering


@pytest.mark.parametrize(
    "begins", [b"A" * 120, b"<" * 120, b"BM" * 60, b"\xff\xd8\xff\xe0", b"\0\0\1\xba", b"PK\3\4"]
)
def test_voxels_may_begin_like_any_file(begins: bytes) -> None:
    raw = begins.ljust(2 * int(np.prod(SHAPE)), begins[-1:])
    header = meta("ElementDataFile = a.raw")[0]
    frames = open_frames([raw, header, b"a note"], Limits())
    assert (frames.count, frames.format) == (SHAPE[2], "metaimage")
    assert [each.file for each in frames.skipped] == [3]


def test_a_sheared_volume_is_told_and_measured_by_its_determinant(tmp_path: Path) -> None:
    frames = opened(nrrd("space: LPS", "space directions: (0.7,0,0) (0,0.9,0) (0,1.0919,3)"))
    assert frames.geometry.voxel_ml == pytest.approx(0.00189)
    assert "sheared by 20.0 degrees" in frames.rendering


def test_what_the_header_leaves_open_is_told() -> None:
    assert "taken as left-posterior-superior" in opened(VOLUMES["nrrd, spacings alone"]).rendering
    unsized = opened(nrrd())
    assert unsized.geometry.spacing is None
    assert "no voxel size in the header" in unsized.rendering
    assert opened(meta()).geometry.slice_mm is None


@pytest.mark.parametrize(
    ("files", "error", "words"),
    [
        (
            nrrd("kinds: complex domain domain domain", values=numbered((2, *SHAPE))),
            UnsupportedImage,
            "complex",
        ),
        (nrrd(values=numbered((5, 6))), UnsupportedImage, "2 dimensions"),
        (nrrd(kind="block"), UnsupportedImage, "plain numbers"),
        (nrrd(encoding="hex"), UnsupportedImage, "encodings"),
        (nrrd("data file: LIST", attached=True), UnsupportedImage, "without its voxels"),
        (nrrd("space directions: (1,0,0) (0,1,0) none"), UnsupportedImage, "three axes"),
        (nrrd("space directions: (1,0,0) (1,0,0) (0,0,1)"), BrokenImage, "turned back"),
        (nrrd(raw=LITTLE[:-1]), BrokenImage, "239 bytes where the NRRD header declares 240"),
        (nrrd(encoding="gzip", raw=gzip.compress(LITTLE[:-1])), BrokenImage, "239 bytes"),
        (nrrd(encoding="gzip", raw=LITTLE), BrokenImage, "damaged"),
        (nrrd(encoding="bzip2", raw=bz2.compress(LITTLE)[:-9]), BrokenImage, "bzip2|bytes"),
        (nrrd(encoding="ascii", raw=TEXT[:-9]), BrokenImage, "numbers where"),
        (nrrd(encoding="ascii", raw=b"1 2 three"), BrokenImage, "no number"),
        ([b"NRRD0004\ntype: short\n\n"], BrokenImage, "'dimension'"),
        ([nrrd()[0].replace(b"5 6 4", b"5 6 -4")], BrokenImage, "empty"),
        ([nrrd()[0].replace(b"5 6 4", b"x 6 4")], BrokenImage, "whole numbers"),
        ([nrrd()[0].replace(b"5 6 4", b"50000 60000 4000")], ImageTooLarge, "frames"),
        ([nrrd()[0].replace(b"5 6 4", b"4000 4000 4000")], ImageTooLarge, "voxels"),
        (meta(values=numbered((5, 6))), UnsupportedImage, "2 dimensions"),
        (meta("ElementType = MET_STRING"), UnsupportedImage, "plain numbers"),
        (meta("ElementSpacing = 1 1"), BrokenImage, "2 numbers, not 3"),
        (meta("TransformMatrix = 1 0 0 1 0 0 0 0 1"), BrokenImage, "turned back"),
        (meta(raw=LITTLE[:-1]), BrokenImage, "239 bytes"),
        ([*meta("ElementDataFile = LIST")], UnsupportedImage, "file for each slice"),
        ([*nrrd(), *nrrd(*PLACED)], UnsupportedImage, "two NRRD files among the files: send one"),
    ],
)
def test_what_is_not_read_is_said(files: list[bytes], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words) as refused:
        opened(files)
    assert "Doe" not in str(refused.value)


@pytest.mark.parametrize("name", ["nrrd", "nrrd, gzip", "nrrd, bzip2", "mha, deflated"])
def test_cut_anywhere_it_is_refused(name: str) -> None:
    [content] = (VOLUMES | UNCHECKED)[name]
    for length in range(10, len(content) - 8, 5):
        with pytest.raises((BrokenImage, UnsupportedImage)):
            opened([content[:length]])


@pytest.mark.parametrize("files", VOLUMES.values(), ids=VOLUMES.keys())
def test_damage_is_refused_in_our_own_words(files: list[bytes]) -> None:
    rng = np.random.default_rng(1)
    for _ in range(20):
        content = bytearray(files[0])
        for place in rng.integers(0, len(content), 3):
            content[place] = rng.integers(0, 256)
        try:
            frames = opened([bytes(content)])
            working_bytes([bytes(content)], Limits())
            shown_values(frames)
        except (BrokenImage, UnsupportedImage, ImageTooLarge):
            pass


LARGE = (200, 200, 60)
BESIDE = np.zeros((4, *LARGE), np.int16)
OF_ZEROS = {
    "raw": nrrd(values=np.zeros(LARGE, np.int16)),
    "numbers beside each other": nrrd("kinds: list domain domain domain", values=BESIDE),
    "gzip": nrrd(
        "kinds: list domain domain domain",
        values=BESIDE,
        encoding="gzip",
        raw=gzip.compress(in_order(BESIDE)),
    ),
    "gzip, across": nrrd(
        "spacings: 3 1 1",
        values=np.zeros(LARGE, np.int16),
        encoding="gzip",
        raw=gzip.compress(bytes(2 * 200 * 200 * 60)),
    ),
    "bzip2": nrrd(
        values=np.zeros(LARGE, np.int16),
        encoding="bzip2",
        raw=bz2.compress(bytes(2 * 200 * 200 * 60)),
    ),
    "text": nrrd(values=np.zeros((100, 100, 60)), encoding="ascii", raw=b"0 " * 600_000),
    "deflated": meta(
        "CompressedData = True",
        values=np.zeros(LARGE, np.int16),
        raw=zlib.compress(bytes(2 * 200 * 200 * 60)),
    ),
}


@pytest.mark.parametrize("files", OF_ZEROS.values(), ids=OF_ZEROS.keys())
def test_reading_takes_what_is_said_before(files: list[bytes]) -> None:
    said = working_bytes(files, Limits())
    tracemalloc.start()
    try:
        frames = open_frames(files, Limits())
        for index in (0, 1, frames.count - 1, frames.count - 2):
            assert not frames.frame(index).any()
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # An upload of several files is not copied.
    assert most < said
    assert said < most + 64 * 2**20
