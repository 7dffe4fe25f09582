"""A label map lies on its image, whichever place of the header a reader takes."""

import gzip
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import SimpleITK

from segmenter.formats.frames import Frames, ReadOptions
from segmenter.formats.limits import Limits
from segmenter.formats.sequences import open_frames, working_bytes
from segmenter.formats.volumes.labels import write_labels
from segmenter.formats.volumes.nifti_place import PLACE_FIELDS
from tests.segmenter.formats.build import AS_STORED, shown_values
from tests.segmenter.formats.volumes import headers
from tests.segmenter.formats.volumes.headers import (
    HEADERS,
    SCANNER,
    STRAIGHT,
    TILTED,
    analyze,
    nifti,
    numbered,
    placed,
    rows_of,
)

EACH_HEADER = pytest.mark.parametrize("files", HEADERS.values(), ids=HEADERS.keys())


def opened(files: list[bytes]) -> Frames:
    return open_frames(files, Limits(), ReadOptions(window=AS_STORED))


def labels_of(frames: Frames) -> bytes:
    """A label map of the shown values themselves."""
    return gzip.decompress(write_labels(shown_values(frames).astype(np.uint16), frames))


def saved(files: list[bytes], folder: Path) -> Path:
    """Write a source as its readers expect it."""
    if len(files) == 1:
        path = folder / "source.nii"
        path.write_bytes(files[0])
        return path
    (folder / "source.img").write_bytes(files[1])
    path = folder / "source.hdr"
    path.write_bytes(files[0])
    return path


@EACH_HEADER
def test_the_fields_that_place_a_label_map_are_those_of_its_source(files: list[bytes]) -> None:
    content = labels_of(opened(files))
    written: Any = nibabel.Nifti1Header(content[:348], check=False)
    source: Any = nibabel.Nifti1Header(files[0][:348], check=False)
    assert written["pixdim"][:4].tobytes() == source["pixdim"][:4].astype("<f4").tobytes()
    of_analyze = bytes(source["magic"])[:1] != b"n"
    for field in PLACE_FIELDS:
        if of_analyze:
            assert not np.any(written[field])
        else:
            little = source[field].astype(source[field].dtype.newbyteorder("<"))
            assert written[field].tobytes() == little.tobytes()


@EACH_HEADER
def test_simpleitk_puts_every_voxel_of_a_label_map_where_it_puts_the_image(
    files: list[bytes], tmp_path: Path
) -> None:
    (tmp_path / "labels.nii").write_bytes(labels_of(opened(files)))
    source = SimpleITK.ReadImage(str(saved(files, tmp_path)))
    written = SimpleITK.ReadImage(str(tmp_path / "labels.nii"))
    assert np.array_equal(
        SimpleITK.GetArrayFromImage(written).ravel(), SimpleITK.GetArrayFromImage(source).ravel()
    )
    shape = np.array(headers.SHAPE)
    for index in np.ndindex(*shape):
        at = [int(each) for each in index]
        more = [0] * (source.GetDimension() - 3)
        here = written.TransformIndexToPhysicalPoint(at)
        there = source.TransformIndexToPhysicalPoint([*at, *more])[:3]
        assert here == there


@EACH_HEADER
def test_nibabel_puts_a_label_map_where_it_puts_the_image(
    files: list[bytes], tmp_path: Path
) -> None:
    (tmp_path / "labels.nii").write_bytes(labels_of(opened(files)))
    source: Any = nibabel.load(saved(files, tmp_path))
    written: Any = nibabel.load(tmp_path / "labels.nii")
    assert np.array_equal(written.affine, source.affine)
    values = np.asarray(source.dataobj).reshape(headers.SHAPE)
    assert np.array_equal(np.asarray(written.dataobj), values)


@EACH_HEADER
@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzipped"])
def test_what_is_shown_is_the_same_however_it_is_packed(files: list[bytes], pack: Any) -> None:
    packed = [pack(file) for file in files][::-1]
    assert np.array_equal(shown_values(opened(packed)), shown_values(opened(files)))
    assert working_bytes(packed, Limits()) > 0


def test_a_second_nifti_keeps_all_bits_of_its_place() -> None:
    third = placed((-1 / 3, 0, 0), (0, -1 / 7, 0), (0, 0, 1 / 1.1), at=(1e3 / 3, 2, 3))
    files = nifti({**SCANNER, **rows_of(third), "sform_code": 1}, second=True)
    content = labels_of(opened(files))
    written: Any = nibabel.Nifti2Header(content[:540])
    assert np.array_equal(written.get_sform(), third)
    assert written["quatern_b"] == SCANNER["quatern_b"]


@pytest.mark.parametrize(
    ("name", "rule", "sizes"),
    [
        ("both codes 0", "no orientation in the header", (0.7, 0.9, 3.0)),
        ("Analyze", "no orientation in the header", (0.7, 0.9, 3.0)),
        ("both differ", "the qform says otherwise", (0.7, 0.9, 3.0)),
        ("sform of zeros", "not placed by the sform, which is no grid", (0.7, 0.9, 3.0)),
        ("sform a sketch of 1 mm", "voxel size of pixdim", (0.7, 0.9, 3.0)),
        ("pixdim 0", None, (0.7, 0.9, 3.0)),
        ("negative pixdim", None, (0.7, 0.9, 3.0)),
        ("metres", None, (700.0, 900.0, 3000.0)),
        ("microns", None, (0.0007, 0.0009, 0.003)),
    ],
)
def test_sizes_and_what_was_assumed_are_told(
    name: str, rule: str | None, sizes: tuple[float, float, float]
) -> None:
    frames = opened(HEADERS[name])
    spacing = frames.geometry.spacing
    assert spacing is not None
    told = (spacing.column_mm, spacing.row_mm, frames.geometry.slice_mm or 0.0)
    assert sorted(told) == pytest.approx(sorted(sizes))
    assert frames.geometry.voxel_ml == pytest.approx(np.prod(sizes) / 1000)
    assert (rule or "") in frames.rendering
    if rule is None:
        assert frames.rendering == "window as asked"


def test_where_no_orientation_is_known_no_place_is_told() -> None:
    for name in ("both codes 0", "both codes 0, filled", "Analyze"):
        assert opened(HEADERS[name]).geometry.affine is None


@pytest.mark.parametrize("third", [3.0, 3.1925], ids=["normal", "along the step"])
def test_a_sheared_sform_is_measured_by_its_determinant(third: float) -> None:
    frames = opened(nifti({**rows_of(TILTED), "sform_code": 1}, pixdim=(1.0, 0.7, 0.9, third)))
    geometry = frames.geometry
    assert geometry.slice_mm == pytest.approx(3.0, rel=1e-4)
    assert geometry.step_mm == pytest.approx(3.1925, rel=1e-4)
    assert geometry.voxel_ml == pytest.approx(0.00189, rel=1e-4)
    assert "the grid is sheared by 20.0 degrees" in frames.rendering


def test_without_any_size_none_is_made_up() -> None:
    frames = opened(nifti({}, pixdim=(1.0, 0.0, 0.0, 0.0)))
    geometry = frames.geometry
    assert (geometry.spacing, geometry.slice_mm, geometry.voxel_ml) == (None, None, None)
    assert "no voxel size in the header" in frames.rendering


def test_positions_in_metres_are_told_in_millimetres() -> None:
    fields = {**rows_of(STRAIGHT), "sform_code": 1, "xyzt_units": 1}
    affine = opened(nifti(fields)).geometry.affine
    assert affine is not None
    assert affine[:3, 3] == pytest.approx([1000, 2000, 3000])


def test_several_volumes_of_analyze_are_chosen_from() -> None:
    values = numbered((4, 3, 2, 3))
    frames = open_frames(analyze(values), Limits(), ReadOptions(window=AS_STORED, volume=3))
    assert np.array_equal(shown_values(frames), frames.source.shown(values[..., 2]))
