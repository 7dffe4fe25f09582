import gzip
import io
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import SimpleITK

from segmenter.errors import BrokenImage, ImageTooLarge, InvalidPrompt, UnsupportedImage
from segmenter.formats.decoded import Window
from segmenter.formats.frames import ReadOptions
from segmenter.formats.limits import Limits
from segmenter.formats.volumes.files import is_volume, open_volume, working_bytes
from segmenter.formats.volumes.labels import write_labels
from tests.segmenter.formats.build import AS_STORED, shown_values
from tests.segmenter.formats.hostile import nifti_of_zeros

Sample = Callable[[str], bytes]
SHAPE = (7, 6, 4)


def turned(degrees: float) -> np.ndarray:
    """A rotation about (1, 1, 1): oblique to every axis."""
    angle = np.radians(degrees)
    axis = np.ones(3) / np.sqrt(3)
    cross = np.cross(np.eye(3), axis)
    return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross


def affine(rotation: np.ndarray, sides: tuple[float, float, float]) -> np.ndarray:
    whole = np.eye(4)
    whole[:3, :3] = rotation @ np.diag(sides)
    whole[:3, 3] = (-12.5, 40.0, 3.25)
    return whole


def volume(
    values: np.ndarray, placed: np.ndarray | None = None, kind: Any = nibabel.Nifti1Image
) -> bytes:
    image = kind(values, np.eye(4) if placed is None else placed)
    content: bytes = image.to_bytes()
    return content


def numbered(shape: tuple[int, ...] = SHAPE) -> np.ndarray:
    return np.arange(np.prod(shape), dtype=np.int16).reshape(shape)


ORIENTATIONS = {
    "RAS": affine(np.eye(3), (1, 1, 3)),
    "LPS": affine(np.diag([-1, -1, 1]), (1.5, 1.5, 3)),
    "sagittal": affine(np.eye(3)[[2, 0, 1]], (0.9, 0.9, 4)),
    "through the first axis": affine(np.eye(3), (5, 1, 1)),
    "oblique": affine(turned(25), (0.8, 0.9, 3)),
    "oblique and mirrored": affine(turned(-40) @ np.diag([1, -1, -1]), (0.8, 0.8, 2.5)),
}


@pytest.mark.parametrize("placed", ORIENTATIONS.values(), ids=ORIENTATIONS.keys())
@pytest.mark.parametrize("kind", [nibabel.Nifti1Image, nibabel.Nifti2Image], ids=["1", "2"])
def test_a_label_map_lies_where_its_volume_lies(
    placed: np.ndarray, kind: Any, tmp_path: Path
) -> None:
    values = numbered()
    frames = open_volume([volume(values, placed, kind)], Limits(), ReadOptions(window=AS_STORED))
    labels = shown_values(frames).astype(np.uint16)
    path = tmp_path / "labels.nii.gz"
    path.write_bytes(write_labels(labels, frames))

    written: Any = nibabel.load(path)
    # Labels were taken from the shown frames, so they must come back as the source's own values.
    assert np.array_equal(np.asarray(written.dataobj), values)
    assert np.allclose(written.affine, placed, atol=1e-5)

    if kind is nibabel.Nifti2Image:
        # Of which ITK reads neither.
        return
    (tmp_path / "source.nii").write_bytes(volume(values, placed))
    source = SimpleITK.ReadImage(str(tmp_path / "source.nii"))
    label_map = SimpleITK.ReadImage(str(path))
    assert label_map.GetSize() == source.GetSize()
    assert np.allclose(label_map.GetSpacing(), source.GetSpacing(), rtol=1e-5)
    assert np.allclose(label_map.GetOrigin(), source.GetOrigin(), atol=1e-4)
    assert np.allclose(label_map.GetDirection(), source.GetDirection(), atol=1e-5)


@pytest.mark.parametrize("placed", ORIENTATIONS.values(), ids=ORIENTATIONS.keys())
def test_a_shown_index_means_the_same_place_in_the_patient(placed: np.ndarray) -> None:
    values = numbered()
    frames = open_volume([volume(values, placed)], Limits(), ReadOptions(window=AS_STORED))
    frame, row, column = 1, 2, 3
    where = np.argwhere(values == shown_values(frames)[frame, row, column])[0]
    shown = frames.geometry.affine
    assert shown is not None
    assert np.allclose(shown @ [column, row, frame, 1], placed @ [*where, 1], atol=1e-5)


def test_axial_slices_are_shown_front_up_and_right_side_left() -> None:
    values = np.zeros((6, 6, 3), dtype=np.int16)
    # The affine is RAS: x grows to the patient's right side, y to the front.
    values[-1, -1, 0] = 100
    content = volume(values, affine(np.eye(3), (1, 1, 3)))
    frames = open_volume([content], Limits(), ReadOptions(window=AS_STORED))
    assert np.argwhere(shown_values(frames) == 100).tolist() == [[0, 0, 0]]


def test_sizes_are_those_of_pixdim_where_the_affine_is_a_sketch(sample: Sample) -> None:
    frames = open_volume([sample("nifti/cardiac_mr_acdc.nii.gz")], Limits())
    spacing = frames.geometry.spacing
    assert spacing is not None
    assert (spacing.row_mm, spacing.column_mm) == (1.40625, 1.40625)
    assert frames.geometry.slice_mm == 10.0
    labels = np.zeros((frames.count, frames.height, frames.width), np.uint16)
    written = nibabel.Nifti1Image.from_bytes(gzip.decompress(write_labels(labels, frames)))
    assert written.header.get_zooms() == pytest.approx((1.40625, 1.40625, 10.0))
    assert np.array_equal(written.affine, np.diag([-1.0, -1.0, 1.0, 1.0]))


def test_sizes_in_microns_become_millimetres() -> None:
    image = nibabel.Nifti1Image(numbered(), affine(np.eye(3), (500, 500, 2000)))
    image.header.set_xyzt_units("micron")
    frames = open_volume([image.to_bytes()], Limits())
    assert frames.geometry.slice_mm == pytest.approx(2.0)
    assert frames.geometry.spacing is not None
    assert frames.geometry.spacing.row_mm == pytest.approx(0.5)
    labels = np.zeros((frames.count, frames.height, frames.width), np.uint16)
    written = nibabel.Nifti1Image.from_bytes(gzip.decompress(write_labels(labels, frames)))
    assert written.header.get_xyzt_units()[0] == "micron"


@pytest.mark.parametrize(
    "name", ["cardiac_mr_acdc.nii.gz", "ct_small_totalseg.nii.gz", "uncompressed_small.nii"]
)
def test_samples_keep_their_place(sample: Sample, name: str) -> None:
    content = sample(f"nifti/{name}")
    frames = open_volume([content], Limits())
    source: Any = nibabel.Nifti1Image.from_bytes(
        gzip.decompress(content) if name.endswith("gz") else content
    )
    rng = np.random.default_rng(5)
    size = (frames.count, frames.height, frames.width)
    labels = rng.integers(0, 9, size, dtype=np.uint16)
    written: Any = nibabel.Nifti1Image.from_bytes(gzip.decompress(write_labels(labels, frames)))
    assert written.shape == source.shape
    assert np.array_equal(written.affine, source.affine)
    assert np.array_equal(frames.source.shown(np.asarray(written.dataobj)), labels)


def test_a_window_is_in_the_values_of_the_volume() -> None:
    values = np.arange(-10, 14, dtype=np.int16).reshape(4, 3, 2)
    image = nibabel.Nifti1Image(values, np.eye(4))
    image.header.set_slope_inter(10, 5)
    frames = open_volume([image.to_bytes()], Limits(), ReadOptions(window=Window(5.0, 100.0)))
    grey = shown_values(frames)
    # Stored -5 is -45, the window's lower end; 5 is 55, its upper end; 0 is 5, its middle.
    for stored, level in ((-10, 0), (-5, 0), (0, 128), (5, 255), (13, 255)):
        assert grey[frames.source.shown(values) == stored].tolist() == [level]


def test_a_preset_is_a_window_in_hounsfield_units() -> None:
    values = np.array([-1350, -600, 150, 2000], dtype=np.int16).reshape(2, 2, 1)
    frames = open_volume([volume(values)], Limits(), ReadOptions(preset="lung"))
    pairs = zip(frames.source.shown(values).flat, shown_values(frames).flat, strict=True)
    found = {int(value): int(grey) for value, grey in pairs}
    assert found == {-1350: 0, -600: 128, 150: 255, 2000: 255}


def test_an_unknown_preset_is_named() -> None:
    with pytest.raises(InvalidPrompt, match=r"'marrow'.*lung"):
        open_volume([volume(numbered())], Limits(), ReadOptions(preset="marrow"))


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["nii", "nii.gz"])
@pytest.mark.parametrize("asked", [None, 1, 2, 3])
def test_of_a_series_in_time_one_volume_is_read(
    pack: Callable[[bytes], bytes], asked: int | None
) -> None:
    values = numbered((4, 4, 3, 3))
    options = ReadOptions(window=AS_STORED, volume=asked)
    frames = open_volume([pack(volume(values))], Limits(), options)
    number = asked or 1
    assert np.array_equal(
        shown_values(frames), frames.source.shown(values[..., number - 1]).astype(np.uint8)
    )
    assert f"volume {number} of 3" in frames.rendering
    labels = np.ones((frames.count, frames.height, frames.width), np.uint16)
    written = nibabel.Nifti1Image.from_bytes(gzip.decompress(write_labels(labels, frames)))
    assert written.shape == (4, 4, 3)


@pytest.mark.parametrize(("count", "words"), [(1, "holds 1 volume"), (3, "3 volumes, numbered")])
def test_a_volume_that_is_not_there_is_refused_with_the_number_there_are(
    count: int, words: str
) -> None:
    content = volume(numbered((4, 4, 3, count)))
    with pytest.raises(InvalidPrompt, match=words) as refused:
        open_volume([content], Limits(), ReadOptions(volume=count + 1))
    assert refused.value.field == "volume"


@pytest.mark.parametrize("name", ["broken/truncated.nii.gz", "broken/nifti_huge_dims.nii"])
def test_broken_samples_are_refused(sample: Sample, name: str) -> None:
    with pytest.raises((BrokenImage, ImageTooLarge)):
        open_volume([sample(name)], Limits())


def test_a_gzip_bomb_is_not_inflated() -> None:
    head = volume(numbered())
    stream = io.BytesIO()
    with gzip.GzipFile(fileobj=stream, mode="wb") as zipped:
        zipped.write(head)
        for _ in range(64):
            zipped.write(bytes(2**20))
    frames = open_volume([stream.getvalue()], Limits())
    assert frames.count == 4


def test_too_many_voxels_are_named_with_the_limit() -> None:
    with pytest.raises(ImageTooLarge, match="168 voxels in all, over the limit of 100"):
        open_volume([volume(numbered())], Limits(max_voxels=100))


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        (lambda head: head.__setitem__(slice(344, 348), b"ni1\0"), UnsupportedImage, "without its"),
        (lambda head: head.__setitem__(slice(70, 72), b"\x20\x00"), UnsupportedImage, "complex"),
        (lambda head: head.__setitem__(slice(70, 72), b"\x00\x06"), UnsupportedImage, "plain"),
        (lambda head: head.__setitem__(slice(108, 112), bytes(4)), BrokenImage, "begin at 0"),
        (lambda head: head.__setitem__(slice(40, 42), b"\x01\x00"), UnsupportedImage, "dimensions"),
    ],
    ids=["a pair of files", "complex", "of 16 bytes", "no offset", "a line"],
)
def test_what_is_not_read_is_said(
    change: Callable[[bytearray], None], error: type[Exception], words: str
) -> None:
    content = bytearray(volume(numbered()))
    change(content)
    with pytest.raises(error, match=words):
        open_volume([bytes(content)], Limits())


def test_cut_anywhere_it_is_refused() -> None:
    content = gzip.compress(volume(numbered()))
    for length in range(0, len(content) - 40, 7):
        with pytest.raises((BrokenImage, UnsupportedImage)):
            open_volume([content[:length]], Limits())


def test_other_files_are_no_nifti() -> None:
    assert is_volume(volume(numbered()))
    assert is_volume(gzip.compress(volume(numbered())))
    assert not is_volume(gzip.compress(b"a text that is longer than a header" * 20))
    assert not is_volume(b"\x89PNG\r\n\x1a\n")


@pytest.mark.parametrize("zooms", [(1.0, 1.0, 3.0), (3.0, 1.0, 1.0)], ids=["along", "across"])
def test_a_volume_is_never_in_memory_as_a_whole(zooms: tuple[float, float, float]) -> None:
    # Inflates to 173 MB, of which a frame is less than one.
    content = nifti_of_zeros((300, 300, 240), zooms)
    assert len(content) < 200_000
    tracemalloc.start()
    try:
        frames = open_volume([content], Limits())
        for index in (0, 1, frames.count - 1, frames.count - 2):
            assert not frames.frame(index).any()
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < working_bytes([content], Limits()) < 120_000_000


def test_frames_are_the_same_in_any_order_and_from_any_kind_of_file() -> None:
    content = volume(numbered())
    whole = shown_values(open_volume([content], Limits(), ReadOptions(window=AS_STORED)))
    zipped = open_volume([gzip.compress(content)], Limits(), ReadOptions(window=AS_STORED))
    for index in (*range(zipped.count)[::-1], *range(zipped.count)):
        assert np.array_equal(zipped.frame(index)[:, :, 0], whole[index])


@pytest.mark.parametrize("alpha", [False, True], ids=["RGB24", "RGBA32"])
@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["nii", "nii.gz"])
def test_colours_are_shown_as_stored(alpha: bool, pack: Callable[[bytes], bytes]) -> None:
    numbers = np.random.default_rng(1).integers(0, 256, (*SHAPE, 4 if alpha else 3), np.uint8)
    dtype = np.dtype([(name, np.uint8) for name in ("RGBA" if alpha else "RGB")])
    content = volume(numbers.view(dtype)[..., 0], affine(np.eye(3), (1, 1, 3)))
    frames = open_volume([pack(content)], Limits())
    shown = np.stack([frames.frame(index) for index in range(frames.count)])
    assert np.array_equal(shown, frames.source.shown(numbers)[..., :3])
    assert frames.rendering.startswith("colours as stored")
    with pytest.raises(InvalidPrompt, match="in colour"):
        open_volume([content], Limits(), ReadOptions(preset="lung"))


def test_a_flat_picture_is_a_volume_of_one_frame() -> None:
    frames = open_volume([volume(numbered((5, 4)))], Limits(), ReadOptions(window=AS_STORED))
    assert (frames.count, frames.height, frames.width) == (1, 4, 5)


def test_a_gzip_file_of_several_parts_is_read_to_its_end() -> None:
    content = volume(numbered())
    parts = gzip.compress(content[:400]) + gzip.compress(content[400:])
    whole = shown_values(open_volume([content], Limits(), ReadOptions(window=AS_STORED)))
    read = open_volume([parts], Limits(), ReadOptions(window=AS_STORED))
    assert np.array_equal(shown_values(read), whole)


@pytest.mark.parametrize("side", [float("nan"), float("inf"), 0.0])
def test_a_size_that_is_no_number_is_none(side: float) -> None:
    content = bytearray(volume(numbered()))
    content[76:92] = np.array([1, 0.7, 0.9, side], "<f4").tobytes()
    # Neither form: qform_code, sform_code.
    content[252:256] = bytes(4)
    frames = open_volume([bytes(content)], Limits(), ReadOptions(window=AS_STORED))
    assert frames.geometry.spacing is None
    assert "no voxel size in the header" in frames.rendering
    labels = np.zeros((frames.count, frames.height, frames.width), np.uint16)
    written = nibabel.Nifti1Image.from_bytes(gzip.decompress(write_labels(labels, frames)))
    assert written.shape == SHAPE
