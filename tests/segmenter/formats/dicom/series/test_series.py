"""Which files make one volume, and where their slices lie: SimpleITK says the same."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK
from pydicom.uid import (
    CTImageStorage,
    SecondaryCaptureImageStorage,
    generate_uid,
)

from segmenter.errors import InputError, InvalidPrompt, MixedFiles
from segmenter.formats.frames import Frames, ReadOptions
from segmenter.formats.limits import Limits
from segmenter.formats.sequences import open_frames, working_bytes
from tests.segmenter.formats.build import AS_STORED, shown_values
from tests.segmenter.formats.dicom.series.build import OTHER, SERIES, one_slice, stack, text

LIMITS = Limits()


def opened(files: list[bytes], **options: Any) -> Frames:
    asked = ReadOptions(window=AS_STORED, **options)
    assert working_bytes(files, LIMITS, asked) > 0
    return open_frames(files, LIMITS, asked)


def values(frames: Frames) -> list[int]:
    return [int(each) for each in shown_values(frames).max(axis=(1, 2))]


def by_simpleitk(files: list[bytes], folder: Path) -> SimpleITK.Image:
    for number, content in enumerate(files):
        (folder / f"{number:03}.dcm").write_bytes(content)
    reader = SimpleITK.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder)))
    return reader.Execute()


def oblique(index: int, step: float, digits: int) -> dict[str, Any]:
    """A slice of a stack turned by 30 degrees about x, positions rounded."""
    cosine, sine = np.cos(np.pi / 6), np.sin(np.pi / 6)
    along = np.array([0.0, -sine, cosine]) * step * index + np.array([-100.3, -80.7, 33.1])
    return {
        "ImagePositionPatient": [text(each, digits) for each in along],
        "ImageOrientationPatient": ["1", "0", "0", "0", f"{cosine:.6f}", f"{sine:.6f}"],
    }


@pytest.mark.parametrize(
    ("step", "digits", "count"),
    [
        (0.625, 2, 10),
        (0.625, 2, 160),
        (0.625, 1, 60),
        (2 / 3, 3, 90),
        (1 / 3, 3, 120),
        (1.25, 1, 80),
        (0.3, 1, 50),
        (0.7031, 2, 200),
        (1 / 3, 2, 100),
    ],
)
def test_positions_cut_to_few_digits_are_even(step: float, digits: int, count: int) -> None:
    positions = [index * step - 77.7 for index in range(count)]
    files = [one_slice(z, digits=digits) for z in positions]
    frames = opened(files)
    assert frames.count == count
    assert frames.source.places is None
    assert frames.geometry.slice_mm == pytest.approx(step, abs=10.0**-digits / count)
    affine = frames.geometry.affine
    assert affine is not None
    last = affine @ [0, 0, count - 1, 1]
    assert abs(last[2] - positions[-1]) < 10.0**-digits


def test_oblique_positions_cut_to_two_digits_are_even(tmp_path: Path) -> None:
    files = [one_slice(0, **oblique(index, 1.0, 2)) for index in range(160)]
    frames = opened(files)
    assert frames.geometry.slice_mm == pytest.approx(1.0, abs=1e-3)
    assert "positions even within" in frames.rendering
    assert "sheared" not in frames.rendering
    image = by_simpleitk(files, tmp_path)
    affine = frames.geometry.affine
    assert affine is not None
    for corner in ((0, 0, 0), (7, 5, 159), (0, 5, 80)):
        there = np.array(image.TransformIndexToPhysicalPoint(corner)) * (-1, -1, 1)
        assert np.allclose((affine @ [*corner, 1])[:3], there, atol=0.02)


@pytest.mark.parametrize("missing", [[3], [4, 5], [2, 7]])
def test_a_gap_stays_a_gap_where_positions_are_cut(missing: list[int]) -> None:
    kept = [index for index in range(12) if index not in missing]
    frames = opened([one_slice(index * 0.625, digits=2) for index in kept])
    assert frames.source.places == tuple(kept)
    several = "s" if len(missing) > 1 else ""
    assert f"{len(missing)} slice{several} missing between" in frames.rendering


@pytest.mark.parametrize(
    "positions",
    [
        [0, 3, 6, 10, 13],
        [0, 1, 2.5, 3.5],
        [0, 0.62, 1.25, 1.88, 2.3, 3.12],
        [0, 3, 6, 7.5, 9, 12, 15, 18],
        [0, 3, 6, 60, 63, 66],
        [0, 1, 3, 6, 10, 15],
        [0, 1.5, 3, 6, 9, 12],
    ],
    ids=["whole", "half", "cut", "interleaved", "two stacks", "growing", "halfway"],
)
def test_uneven_slices_are_refused_with_their_distances(positions: list[float]) -> None:
    with pytest.raises(MixedFiles, match=r"distances of the slices are uneven .*mm between file"):
        opened(stack(positions))


def test_gaps_are_none_where_the_slices_say_another_distance() -> None:
    """Steps of 1.25 mm in whole millimetres: some distances are 2 mm, none is a gap."""
    files = [one_slice(z, SpacingBetweenSlices="1.25") for z in (0, 1, 2, 4, 5, 6, 8, 9, 10)]
    with pytest.raises(MixedFiles, match=r"multiples of 1 mm .* SpacingBetweenSlices is 1.25 mm"):
        opened(files)


def test_a_tilted_gantry_gives_a_sheared_grid(tmp_path: Path) -> None:
    shift = 3 * np.tan(np.deg2rad(20))
    files = [one_slice(3 * k, y=f"{shift * k:.6f}", value=10 + k) for k in range(5)]
    frames = opened(files[::-1])
    geometry = frames.geometry
    assert geometry.slice_mm == pytest.approx(3.0)
    assert geometry.step_mm == pytest.approx(3 / np.cos(np.deg2rad(20)), abs=1e-5)
    assert geometry.voxel_ml == pytest.approx(0.5 * 0.75 * 3 / 1000)
    assert "the grid is sheared by 20.0 degrees" in frames.rendering
    assert geometry.affine is not None
    for k in range(5):
        assert np.allclose(
            (geometry.affine @ [3, 2, k, 1])[:3],
            [-1 - 3 * 0.75, -shift * k - 1.0, 3 * k],
            atol=1e-5,
        )


@pytest.mark.parametrize("y", ["2.5", "3", "9"])
def test_one_slice_shifted_within_its_plane_is_refused(y: str) -> None:
    files = [*stack([0, 3, 6, 12]), one_slice(9, y=y)]
    with pytest.raises(MixedFiles, match="shifts within the plane"):
        opened(files)


def test_the_slices_of_another_table_position_are_refused() -> None:
    """Two halves of a scan that lie beside each other."""
    files = [*stack([0, 3, 6]), *stack([9, 12, 15], x="40")]
    with pytest.raises(MixedFiles, match="ImagePositionPatient"):
        opened(files)


@pytest.mark.parametrize(
    ("tags", "words"),
    [
        ({"PixelSpacing": ["0.5", "0.76"]}, r"PixelSpacing differs: 0.5\\0.75 in file 1 and "),
        ({"FrameOfReferenceUID": "1.2.3.8"}, "two FrameOfReferenceUIDs, in file 1 and in file 3"),
        ({"PhotometricInterpretation": "MONOCHROME1"}, "PhotometricInterpretation differs: MONO"),
        ({"Modality": "PT"}, "Modality differs: CT in file 1 and PT in file 3"),
        ({"SliceThickness": "20"}, "SliceThickness differs: 3 in file 1 and 20 in file 3"),
        ({"ImagePositionPatient": None}, "file 3 does not tell its position"),
        ({"PixelSpacing": None}, r"PixelSpacing differs: 0.5\\0.75 in file 1 and none in file 3"),
    ],
)
def test_a_slice_that_differs_is_named_with_both_values(tags: dict[str, Any], words: str) -> None:
    with pytest.raises(MixedFiles, match=words):
        opened([*stack([0, 3], SliceThickness="3"), one_slice(6, **tags)])


def test_spacing_of_other_digits_is_the_same_spacing() -> None:
    files = [one_slice(0, PixelSpacing=["0.7031", "0.7031"])]
    files.append(one_slice(3, PixelSpacing=["0.703125", "0.703125"]))
    assert opened(files).count == 2


# Several series.


def test_of_two_series_the_caller_chooses_by_number_or_uid() -> None:
    one = stack([0, 3, 6])
    other = stack([0, 2], SeriesInstanceUID=OTHER, Modality="MR")
    mixed = [other[0], one[2], one[0], other[1], one[1]]
    with pytest.raises(InvalidPrompt) as refused:
        opened(mixed)
    assert refused.value.field == "series"
    assert str(refused.value) == (
        "2 series in the files (2 SeriesInstanceUIDs): choose one with series=1 to 2, or by"
        " SeriesInstanceUID: 1: CT, 3 slices of 8 x 6 (0.75 x 0.5 mm), such as file 2; 2: MR, 2"
        " slices of 8 x 6 (0.75 x 0.5 mm), such as file 1"
    )
    for series in ("1", SERIES):
        frames = opened(mixed, series=series)
        assert values(frames) == [10, 20, 30]
        assert "series 1 of 2" in frames.rendering
    assert opened(mixed, series=OTHER).geometry.slice_mm == 2.0
    for series in ("3", "0", "1.2.9"):
        with pytest.raises(InvalidPrompt, match=r"there is no series|no series has this"):
            opened(mixed, series=series)
    # The order of the files has no part in the numbers.
    assert opened(mixed[::-1], series="2").modality == "MR"


def test_one_series_can_be_named_too() -> None:
    assert opened(stack([0, 3]), series="1").count == 2
    assert opened(stack([0, 3]), series=SERIES).count == 2
    with pytest.raises(InvalidPrompt, match="there is one: 1: CT, 2 slices"):
        opened(stack([0, 3]), series="2")


def test_numbers_follow_the_numbers_of_the_series() -> None:
    first = stack([0, 3], SeriesInstanceUID=OTHER, SeriesNumber="2")
    second = stack([0, 5], SeriesNumber="11")
    assert opened(second + first, series="1").geometry.slice_mm == 3.0


@pytest.mark.parametrize(
    ("tags", "words"),
    [
        ({"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]}, "CT localizer, 1 slice of 8 x 6"),
        (
            {"ImageOrientationPatient": ["1", "0", "0", "0", "0", "-1"]},
            r"other ImageOrientationPatient: 1\0\0\0\1\0 in file 1, 1\0\0\0\0\-1 in file 4",
        ),
        ({"SeriesInstanceUID": OTHER}, "2 SeriesInstanceUIDs"),
        ({"SOPClassUID": SecondaryCaptureImageStorage}, "other SOPClassUID: CTImageStorage"),
    ],
    ids=["localizer", "turned", "other series", "screenshot"],
)
def test_a_scout_beside_a_series_is_never_a_slice_of_it(tags: Any, words: str) -> None:
    files = [*stack([0, 3, 6]), one_slice(9, **tags)]
    with pytest.raises(InvalidPrompt) as refused:
        opened(files)
    assert words in str(refused.value)
    assert sorted(opened(files, series=each).count for each in ("1", "2")) == [1, 3]


def test_a_refusal_holds_no_text_of_the_files() -> None:
    secret: Any = {
        "SeriesInstanceUID": "1.2.777.5",
        "SOPClassUID": "1.2.777.6",
        "ImageType": ["DOE"],
    }
    for files in (
        [*stack([0, 3]), one_slice(6, **secret)],
        [*stack([0, 3]), one_slice(3, **{**secret, "SeriesInstanceUID": SERIES})],
        [*stack([0, 3]), one_slice(6, FrameOfReferenceUID="1.2.777.9")],
    ):
        with pytest.raises(InputError) as refused:
            opened(files)
        assert "777" not in str(refused.value)
        assert "DOE" not in str(refused.value)


# Repeats.


def test_a_file_that_came_twice_is_one_slice_and_told() -> None:
    files = stack([0, 3, 6])
    frames = opened([*files, files[1]])
    assert values(frames) == [10, 20, 30]
    assert [(each.file, each.what) for each in frames.skipped] == [(4, "the same as file 2")]


def test_two_files_of_one_identifier_that_differ_are_refused() -> None:
    uid = generate_uid()
    files = [*stack([0, 3]), one_slice(6, SOPInstanceUID=uid), one_slice(9, SOPInstanceUID=uid)]
    with pytest.raises(MixedFiles, match="files 3 and 4 have the same SOPInstanceUID"):
        opened(files)


# Single slices.


@pytest.mark.parametrize(
    ("tags", "slice_mm"),
    [
        ({"SliceThickness": "5"}, 5.0),
        ({"SliceThickness": "5", "SpacingBetweenSlices": "6"}, 5.0),
        ({"SpacingBetweenSlices": "6"}, 6.0),
        ({"SliceThickness": "0"}, None),
        ({}, None),
    ],
)
def test_the_thickness_of_a_single_slice_is_told_or_unknown(
    tags: dict[str, Any], slice_mm: float | None
) -> None:
    frames = opened([one_slice(7, **tags)])
    geometry = frames.geometry
    assert geometry.slice_mm == slice_mm
    assert geometry.voxel_ml == (slice_mm and pytest.approx(0.375 * slice_mm / 1000))
    assert ("slice thickness not told" in frames.rendering) is (slice_mm is None)
    assert geometry.affine is not None
    assert np.allclose(geometry.affine[:3, 3], [-1, -2, 7])


def test_every_frame_tells_its_place() -> None:
    files = [
        one_slice(z, InstanceNumber=number, AcquisitionTime=f"1015{z:02}.5")
        for z, number in ((6, 1), (3, 2), (0, 3))
    ]
    frames = opened(files)
    assert [
        (each.file, each.frame, each.instance_number, each.position_mm, each.time_ms)
        for each in frames.origins
    ] == [
        (3, None, 3, (1.0, 2.0, 0.0), 0.0),
        (2, None, 2, (1.0, 2.0, 3.0), 3000.0),
        (1, None, 1, (1.0, 2.0, 6.0), 6000.0),
    ]


def test_files_of_different_storage_are_one_series() -> None:
    """An implicit and an explicit file, and one of another private class, are no matter."""
    assert opened(stack([0, 3], SOPClassUID=CTImageStorage)).format == "dicom-series"


def test_slices_without_a_pixel_size_are_in_order_and_have_no_volume() -> None:
    frames = opened(stack([6, 0, 3], PixelSpacing=None))
    assert values(frames) == [20, 30, 10]
    geometry = frames.geometry
    assert (geometry.slice_mm, geometry.voxel_ml, geometry.affine) == (3.0, None, None)
    assert "pixel size not told" in frames.rendering


def test_slices_whose_positions_are_all_the_same_are_no_clip() -> None:
    files = [one_slice(0, SliceLocation=str(3 * k), InstanceNumber=str(k)) for k in range(3)]
    with pytest.raises(MixedFiles, match=r"SliceLocation is not \(0 and 3 mm\)"):
        opened(files)


def test_a_file_that_stands_alone_beside_a_text_is_no_series() -> None:
    assert opened([b"text", *stack([0])]).format == "dicom"
