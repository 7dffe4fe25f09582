"""A label map of a sequence in time has a time axis, and keeps its place where that is known."""

import gzip
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import SimpleITK

from segmenter.contract import Spacing
from segmenter.formats.frames import FrameGeometry, Frames, SourceGrid
from segmenter.formats.volumes.labels import write_labels

COUNT, HEIGHT, WIDTH = 7, 5, 4
# Of the slice that all frames show, RAS; 8 mm thick.
PLANE = np.array([[-1.5, 0, 0, 30], [0, 0, -8, -20], [0, -1.5, 0, 10], [0, 0, 0, 1.0]])


def in_time(geometry: FrameGeometry, grid: SourceGrid) -> Frames:
    return Frames(
        count=COUNT,
        height=HEIGHT,
        width=WIDTH,
        format="mp4",
        modality=None,
        rendering="identity",
        geometry=geometry,
        source=grid,
        frame=lambda index: np.zeros((HEIGHT, WIDTH, 3), np.uint8),
    )


def written(frames: Frames, folder: Path) -> tuple[Any, SimpleITK.Image]:
    content = gzip.decompress(write_labels(LABELS, frames))
    (folder / "labels.nii").write_bytes(content)
    read = SimpleITK.ReadImage(str(folder / "labels.nii"))
    return nibabel.Nifti1Image.from_bytes(content), read


LABELS = np.arange(COUNT * HEIGHT * WIDTH, dtype=np.uint16).reshape(COUNT, HEIGHT, WIDTH)


def test_frames_of_a_video_are_along_the_fourth_axis(tmp_path: Path) -> None:
    by_nibabel, by_itk = written(in_time(FrameGeometry("time", fps=25.0), SourceGrid()), tmp_path)
    assert by_nibabel.shape == (WIDTH, HEIGHT, 1, COUNT)
    assert np.array_equal(np.asarray(by_nibabel.dataobj)[:, :, 0].T, LABELS)
    assert by_nibabel.header.get_zooms()[3] == pytest.approx(0.04)
    assert by_nibabel.header.get_xyzt_units() == ("unknown", "sec")
    codes = by_nibabel.header["qform_code"], by_nibabel.header["sform_code"]
    assert [int(code) for code in codes] == [0, 0]
    assert by_itk.GetSize() == (WIDTH, HEIGHT, 1, COUNT)
    assert by_itk.GetSpacing()[3] == pytest.approx(0.04)
    assert np.array_equal(SimpleITK.GetArrayFromImage(by_itk)[:, 0], LABELS)


def test_a_sequence_of_one_slice_keeps_its_place_in_the_patient(tmp_path: Path) -> None:
    geometry = FrameGeometry(
        "time", PLANE, Spacing(row_mm=1.5, column_mm=1.5, source="PixelSpacing"), fps=20.0
    )
    by_nibabel, by_itk = written(in_time(geometry, SourceGrid(affine=PLANE)), tmp_path)
    assert by_nibabel.shape == (WIDTH, HEIGHT, 1, COUNT)
    assert np.allclose(by_nibabel.affine, PLANE)
    assert by_nibabel.header.get_xyzt_units() == ("mm", "sec")
    assert by_nibabel.header.get_zooms() == pytest.approx((1.5, 1.5, 8.0, 0.05))
    for column, row, frame in ((0, 0, 0), (3, 4, 6)):
        point = by_itk.TransformIndexToPhysicalPoint((column, row, 0, frame))
        expected = np.array([-1, -1, 1]) * (PLANE @ [column, row, 0, 1])[:3]
        assert np.allclose(point[:3], expected, atol=1e-4)


def test_where_the_rate_is_not_known_no_unit_of_time_is_written(tmp_path: Path) -> None:
    by_nibabel, _ = written(in_time(FrameGeometry("time"), SourceGrid()), tmp_path)
    assert by_nibabel.shape == (WIDTH, HEIGHT, 1, COUNT)
    assert by_nibabel.header.get_xyzt_units() == ("unknown", "unknown")


def test_a_grid_wider_than_nifti_1_holds_is_written_as_the_second(tmp_path: Path) -> None:
    wide = 40_000
    labels = np.zeros((1, 2, wide), np.uint16)
    frames = in_time(FrameGeometry("depth"), SourceGrid())
    frames = Frames(**(vars(frames) | {"count": 1, "height": 2, "width": wide}))
    content = gzip.decompress(write_labels(labels, frames))
    assert nibabel.Nifti2Image.from_bytes(content).shape == (wide, 2, 1)
