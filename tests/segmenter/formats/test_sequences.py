"""Every file of the samples that is a sequence, and what else a clinic sends as one."""

import gzip
import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import SimpleITK
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

from segmenter.errors import (
    BrokenImage,
    ImageTooLarge,
    InputError,
    InvalidPrompt,
    SegmenterError,
    UnsupportedImage,
)
from segmenter.formats.decoded import Window
from segmenter.formats.frames import ReadOptions, SkippedFile
from segmenter.formats.limits import Limits
from segmenter.formats.sequences import open_frames
from segmenter.formats.volumes.labels import write_labels
from tests.paths import SHARED
from tests.segmenter.formats.build import AS_STORED, dicom, picture, save, shown_values

Sample = Callable[[str], bytes]


@pytest.fixture
def series() -> Callable[[str], list[bytes]]:
    def read(name: str) -> list[bytes]:
        folder = SHARED / "samples/dicom" / name
        if not folder.exists():
            pytest.skip(f"no sample folder {folder} (set MEDSAM3_SHARED)")
        # Backwards: the order of files means nothing.
        return [path.read_bytes() for path in sorted(folder.glob("*.dcm"), reverse=True)]

    return read


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("dicom/us_multiframe_30_ybr_jpeg.dcm", ("dicom", 30, 240, 320, "time")),
        ("dicom/ct_single_128.dcm", ("dicom", 1, 128, 128, "depth")),
        ("dicom/mr_single_64_rle.dcm", ("dicom", 1, 64, 64, "depth")),
        ("dicom/us_rgb_640x480_jpeg2000.dcm", ("dicom", 1, 480, 640, "time")),
        ("nifti/cardiac_mr_acdc.nii.gz", ("nifti", 10, 216, 256, "depth")),
        ("nifti/ct_small_totalseg.nii.gz", ("nifti", 30, 101, 122, "depth")),
        ("nifti/uncompressed_small.nii", ("nifti", 4, 108, 128, "depth")),
        ("video/polyp_cvc_clip.mp4", ("mp4", 25, 256, 340, "time")),
        ("video/endoscopy_normal_colon_3s.mp4", ("mp4", 75, 220, 320, "time")),
        ("video/ultrasound_30_frames.mp4", ("mp4", 30, 240, 320, "time")),
        ("images/ct_multipage_3.tif", ("tiff", 3, 256, 256, "depth")),
    ],
)
def test_a_sample_opens(sample: Sample, name: str, expected: tuple[Any, ...]) -> None:
    frames = open_frames(sample(name), Limits())
    found = (frames.format, frames.count, frames.height, frames.width, frames.geometry.axis)
    assert found == expected
    last = frames.frame(frames.count - 1)
    assert (last.shape, last.dtype) == ((frames.height, frames.width, 3), np.uint8)
    assert np.ptp(last) > 0
    # Out of order gives the same as in order.
    assert np.array_equal(frames.frame(0), open_frames(sample(name), Limits()).frame(0))


@pytest.mark.parametrize(
    "name",
    [
        "nifti_huge_dims.nii",
        "dicom_short_pixel_data.dcm",
        "dicom_huge_rows_columns.dcm",
        "truncated_no_moov.mp4",
        "dicom_no_pixel_data.dcm",
        "empty.png",
        "truncated.tif",
        "truncated.mp4",
        "dicom_truncated_header.dcm",
        "mp4_header_only.mp4",
        "truncated.nii.gz",
        "dicom_wrong_magic.dcm",
        "zip_renamed.png",
        "svg_renamed.png",
    ],
)
def test_a_broken_sample_is_refused(sample: Sample, name: str) -> None:
    with pytest.raises((BrokenImage, ImageTooLarge, UnsupportedImage)):
        open_frames(sample(f"broken/{name}"), Limits())


def test_masks_are_no_picture(sample: Sample) -> None:
    with pytest.raises(UnsupportedImage, match="segmentation"):
        open_frames(sample("dicom/series_ct_3_liver_SEG.dcm"), Limits())


# DICOM series.


@pytest.mark.parametrize("name", ["series_ct_3", "series_mr_prostate_adc_8"])
def test_a_series_lies_where_simpleitk_says(
    series: Callable[[str], list[bytes]], name: str, tmp_path: Path
) -> None:
    files = series(name)
    frames = open_frames(files, Limits())
    size = (frames.count, frames.height, frames.width)
    labels = np.random.default_rng(1).integers(0, 7, size, dtype=np.uint16)
    path = tmp_path / "labels.nii.gz"
    path.write_bytes(write_labels(labels, frames))
    written = SimpleITK.ReadImage(str(path))

    # Each slice, read by SimpleITK alone, must lie at its place in the written grid.
    places = frames.source.places or range(frames.count)
    headers = sorted((_slice(file, tmp_path, i) for i, file in enumerate(files)), key=_along)
    for index, (place, one) in enumerate(zip(places, headers, strict=True)):
        for column, row in ((0, 0), (frames.width - 1, 0), (0, frames.height - 1)):
            here = one.TransformIndexToPhysicalPoint((column, row, 0))
            there = written.TransformIndexToPhysicalPoint((column, row, int(place)))
            assert np.allclose(here, there, atol=0.05)
        got = SimpleITK.GetArrayViewFromImage(written)[place]
        assert np.array_equal(got, labels[index])


def _slice(content: bytes, folder: Path, number: int) -> SimpleITK.Image:
    path = folder / f"{number}.dcm"
    path.write_bytes(content)
    return SimpleITK.ReadImage(str(path))


def _along(one: SimpleITK.Image) -> float:
    direction = np.array(one.GetDirection()).reshape(3, 3)
    return float(np.array(one.GetOrigin()) @ direction[:, 2])


def test_the_padding_of_a_series_is_not_its_darkest_grey(
    series: Callable[[str], list[bytes]],
) -> None:
    frames = open_frames(series("series_ct_3"), Limits(), ReadOptions(preset="soft tissue"))
    assert frames.rendering == "window as asked"
    assert 20 < frames.frame(0).mean() < 200


def test_a_preset_of_ct_is_refused_for_mr(series: Callable[[str], list[bytes]]) -> None:
    with pytest.raises(InvalidPrompt, match="this is MR"):
        open_frames(series("series_mr_prostate_adc_8"), Limits(), ReadOptions(preset="lung"))


def ct_slice(z: float, value: int = 100, size: int = 6, **attributes: Any) -> bytes:
    pixels = np.full((size, size), value, dtype=np.int16)
    pixels[0, 0] = 0
    tags = {
        "Modality": "CT",
        "ImagePositionPatient": ["1", "2", str(z)],
        "ImageOrientationPatient": ["1", "0", "0", "0", "1", "0"],
        "PixelSpacing": ["0.5", "0.75"],
        "RescaleSlope": "1",
        "RescaleIntercept": "0",
    }
    return dicom(pixels, **(tags | attributes))


def test_slices_are_sorted_by_position_and_the_affine_is_of_the_patient() -> None:
    frames: Any = open_frames(
        [ct_slice(z, value) for z, value in ((8, 3), (2, 1), (5, 2))],
        Limits(),
        ReadOptions(window=AS_STORED),
    )
    assert shown_values(frames).max(axis=(1, 2)).tolist() == [1, 2, 3]
    # LPS (1, 2, 2) with steps of 0.75, 0.5 and 3 mm, in RAS.
    expected = np.array([[-0.75, 0, 0, -1], [0, -0.5, 0, -2], [0, 0, 3, 2], [0, 0, 0, 1]])
    assert np.allclose(frames.geometry.affine, expected)
    assert frames.geometry.slice_mm == 3.0


def test_slices_of_a_tilted_gantry_are_measured_along_their_normal() -> None:
    tilted = [
        ct_slice(z, ImagePositionPatient=["1", f"{2 + z * 0.364:.3f}", str(z)])
        for z in (0, 3, 6, 9, 12)
    ]
    frames = open_frames(tilted, Limits())
    geometry = frames.geometry
    assert geometry.slice_mm == pytest.approx(3.0)
    assert geometry.step_mm == pytest.approx(3 * np.hypot(1, 0.364))
    assert geometry.voxel_ml == pytest.approx(0.5 * 0.75 * 3.0 / 1000)
    assert "the grid is sheared by 20.0 degrees" in frames.rendering

    content = gzip.decompress(write_labels(np.ones((5, 6, 6), np.uint16), frames))
    written: Any = nibabel.Nifti1Image.from_bytes(content)
    # A qform has no shear: none is better than a false one.
    assert (int(written.header["qform_code"]), int(written.header["sform_code"])) == (0, 1)
    expected = np.array([[-0.75, 0, 0, -1], [0, -0.5, -1.092, -2], [0, 0, 3, 0], [0, 0, 0, 1]])
    assert np.allclose(written.affine, expected, atol=1e-4)


def test_a_missing_slice_is_left_empty_at_its_place() -> None:
    frames = open_frames([ct_slice(z) for z in (0, 3, 9, 12)], Limits())
    assert frames.rendering.endswith("1 slice missing between")
    content = write_labels(np.ones((4, 6, 6), np.uint16), frames)
    labels = np.asarray(nibabel.Nifti1Image.from_bytes(gzip.decompress(content)).dataobj)
    assert labels.max(axis=(0, 1)).tolist() == [1, 1, 0, 1, 1]


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ([ct_slice(0), ct_slice(3), ct_slice(3)], "the same place"),
        ([ct_slice(0), ct_slice(3), ct_slice(7.2)], "uneven"),
        ([ct_slice(0), ct_slice(3, size=8)], "other Rows and Columns: 6 x 6"),
        ([ct_slice(0), ct_slice(3, Modality="MR")], "Modality differs: CT in file 1 and MR"),
        (
            [ct_slice(0), ct_slice(3, ImageOrientationPatient=["0", "1", "0", "0", "0", "-1"])],
            "other ImageOrientationPatient",
        ),
        ([ct_slice(0), ct_slice(3, ImagePositionPatient="")], "its position"),
    ],
    ids=["twice", "uneven", "sizes", "modalities", "localizer", "no position"],
)
def test_files_that_are_not_one_series_are_refused(files: list[bytes], words: str) -> None:
    with pytest.raises(InputError, match=words):
        open_frames(files, Limits())


def test_one_window_of_the_tags_shows_all_slices() -> None:
    tags: Any = {"WindowCenter": "100.5", "WindowWidth": "201"}
    frames = open_frames([ct_slice(0, 100, **tags), ct_slice(3, 200, **tags)], Limits())
    assert frames.rendering == "window from tags"
    assert [int(frames.frame(index)[1, 1, 0]) for index in range(2)] == [128, 255]


def test_slices_with_windows_of_their_own_share_one_of_percentiles() -> None:
    files = [
        ct_slice(0, 100, WindowCenter="10", WindowWidth="20"),
        ct_slice(3, 100, WindowCenter="99", WindowWidth="20"),
    ]
    frames = open_frames(files, Limits())
    assert "percentiles" in frames.rendering
    assert np.array_equal(frames.frame(0), frames.frame(1))


def test_frames_of_one_object_carry_their_positions() -> None:
    pixels = np.arange(3 * 4 * 4, dtype=np.int16).reshape(3, 4, 4)

    def of_frame(z: float) -> Dataset:
        position, orientation, group = Dataset(), Dataset(), Dataset()
        position.ImagePositionPatient = ["0", "0", str(z)]
        orientation.ImageOrientationPatient = ["1", "0", "0", "0", "1", "0"]
        group.PlanePositionSequence, group.PlaneOrientationSequence = [position], [orientation]
        return group

    content = dicom(
        pixels,
        NumberOfFrames=3,
        PerFrameFunctionalGroupsSequence=[of_frame(z) for z in (0, 2, 4)],
        PixelSpacing=["1", "1"],
        DimensionOrganizationUID=generate_uid(),
    )
    frames: Any = open_frames(content, Limits(), ReadOptions(window=AS_STORED))
    assert frames.geometry.axis == "depth"
    assert frames.geometry.slice_mm == 2.0
    assert np.array_equal(shown_values(frames), pixels)


# Archives.


def zipped(files: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return stream.getvalue()


def test_an_archive_stands_for_its_files() -> None:
    files = {f"st/{z}.dcm": ct_slice(z) for z in (0, 3, 6)}
    rubbish = {"__MACOSX/st/._0.dcm": b"x", "st/.DS_Store": b"x", "DICOMDIR": b"x"}
    frames = open_frames(zipped(files | rubbish), Limits())
    assert (frames.count, frames.format) == (3, "dicom-series")


def test_an_archive_that_inflates_beyond_the_limit_is_refused() -> None:
    with pytest.raises(ImageTooLarge, match="more than 4096 bytes when inflated"):
        open_frames(zipped({"a.dcm": bytes(100_000)}), Limits(max_bytes=4096))


def test_an_archive_of_too_many_files_is_refused() -> None:
    with pytest.raises(ImageTooLarge, match="5 files in the archive, over the limit of 4"):
        open_frames(zipped({f"{i}": b"x" for i in range(5)}), Limits(max_frames=4))


@pytest.mark.parametrize("length", [30, 100, -30])
def test_a_cut_archive_is_refused(length: int) -> None:
    with pytest.raises(BrokenImage, match="damaged"):
        open_frames(zipped({"a.dcm": ct_slice(0)})[:length], Limits())


def test_an_empty_archive_is_refused() -> None:
    whole = zipped({".hidden": b"x"})
    with pytest.raises(UnsupportedImage, match="no file"):
        open_frames(whole, Limits())


def test_a_picture_beside_a_series_is_skipped_and_told() -> None:
    preview = save(Image.fromarray(picture()), "PNG")
    frames = open_frames([ct_slice(0), preview, ct_slice(3)], Limits())
    assert frames.count == 2
    assert frames.skipped == (SkippedFile(2, "PNG picture"),)


# TIFF.


def pages(arrays: list[np.ndarray]) -> bytes:
    first, *rest = (Image.fromarray(array) for array in arrays)
    return save(first, "TIFF", save_all=True, append_images=rest)


def test_pages_of_16_bits_share_one_window() -> None:
    arrays = [np.full((4, 5), value, dtype=np.uint16) for value in (1000, 2000, 3000)]
    frames: Any = open_frames(pages(arrays), Limits(), ReadOptions(window=Window(2000.0, 2000.0)))
    assert [int(frames.frame(index)[0, 0, 0]) for index in range(3)] == [0, 128, 255]


def test_pages_of_different_sizes_are_refused() -> None:
    arrays = [np.zeros((4, 5), np.uint8), np.zeros((5, 5), np.uint8)]
    with pytest.raises(UnsupportedImage, match="different sizes"):
        open_frames(pages(arrays), Limits())


# Videos.


def test_a_video_is_read_forwards_and_back(sample: Sample) -> None:
    frames = open_frames(sample("video/polyp_cvc_clip.mp4"), Limits())
    forward = [frames.frame(index) for index in range(frames.count)]
    assert np.array_equal(frames.frame(3), forward[3])
    assert np.array_equal(frames.frame(20), forward[20])
    assert len({frame.tobytes() for frame in forward}) == 25
    assert frames.geometry.fps == 5.0


def test_a_video_shows_what_its_frames_were(sample: Sample) -> None:
    """The ultrasound video was made from the multi-frame file: H.264 changes it a little only."""
    video = open_frames(sample("video/ultrasound_30_frames.mp4"), Limits())
    source = open_frames(sample("dicom/us_multiframe_30_ybr_jpeg.dcm"), Limits())
    for index in (0, 14, 29):
        here, there = video.frame(index).astype(int), source.frame(index).astype(int)
        assert abs(here - there).mean() < 3.0


def test_a_video_of_too_many_frames_is_refused(sample: Sample) -> None:
    with pytest.raises(ImageTooLarge, match="over the limit of 10"):
        open_frames(sample("video/polyp_cvc_clip.mp4"), Limits(max_frames=10))


def test_a_preset_is_refused_where_no_ct_can_be(sample: Sample) -> None:
    with pytest.raises(InvalidPrompt, match="CT volumes"):
        open_frames(sample("video/polyp_cvc_clip.mp4"), Limits(), ReadOptions(preset="lung"))


def test_a_single_picture_is_told_apart() -> None:
    with pytest.raises(UnsupportedImage, match="a single picture"):
        open_frames(save(Image.fromarray(picture()), "PNG"), Limits())


@pytest.mark.parametrize("content", [b"", [], [b""]])
def test_nothing_is_refused(content: Any) -> None:
    with pytest.raises(SegmenterError, match="empty"):
        open_frames(content, Limits())


def test_files_beyond_the_limit_in_all_are_refused() -> None:
    files = [ct_slice(z) for z in (0, 3, 6)]
    with pytest.raises(ImageTooLarge, match="in all files"):
        open_frames(files, Limits(max_bytes=len(files[0]) * 2))
