"""Objects beside scans: tomograms of the eye, nuclear medicine, slides, reports; broken slices."""

from typing import Any

import numpy as np
import pytest
from pydicom.uid import (
    ComprehensiveSRStorage,
    NuclearMedicineImageStorage,
    OphthalmicTomographyImageStorage,
    VLWholeSlideMicroscopyImageStorage,
)

from segmenter.errors import BrokenImage, UnsupportedImage
from segmenter.formats.dicom.image import decode_dicom
from tests.segmenter.formats.build import PATIENT, dicom, dicom_bytes, dicom_dataset, picture
from tests.segmenter.formats.dicom.series.build import clip, enhanced, group, item, one_slice, stack
from tests.segmenter.formats.dicom.series.test_series import opened, values


@pytest.mark.parametrize(
    ("sop_class", "modality", "kind", "axis"),
    [
        (OphthalmicTomographyImageStorage, "OPT", "VOLUME", "depth"),
        (NuclearMedicineImageStorage, "NM", "DYNAMIC", "time"),
        (NuclearMedicineImageStorage, "NM", "GATED", "time"),
        (NuclearMedicineImageStorage, "NM", "RECON TOMO", "depth"),
        (NuclearMedicineImageStorage, "NM", "RECON GATED TOMO", "depth"),
    ],
)
def test_frames_without_places_go_through_what_their_kind_goes_through(
    sop_class: str, modality: str, kind: str, axis: str
) -> None:
    tags = {"SOPClassUID": sop_class, "ImageType": ["ORIGINAL", "PRIMARY", kind]}
    frames = opened([clip(4, Modality=modality, **tags)])
    assert frames.geometry.axis == axis
    assert frames.geometry.fps is None
    assert frames.geometry.slice_mm is None


@pytest.mark.parametrize("modality", ["US", "XA", "RF", "ES", "IVUS"])
def test_moving_pictures_without_a_time_are_a_clip_of_unknown_rate(modality: str) -> None:
    geometry = opened([clip(4, Modality=modality)]).geometry
    assert (geometry.axis, geometry.fps) == ("time", None)


def test_the_tiles_of_a_slide_are_no_clip() -> None:
    tiles = np.stack([picture(6, 8)] * 4)
    slide = dicom(
        tiles,
        SOPClassUID=VLWholeSlideMicroscopyImageStorage,
        Modality="SM",
        NumberOfFrames=4,
        ImageType=["ORIGINAL", "PRIMARY", "VOLUME"],
    )
    with pytest.raises(UnsupportedImage, match="whole-slide image, one picture in 4 tiles: export"):
        opened([slide])
    assert decode_dicom(slide).rendering.endswith("tile 1 of 4")


def report(*, meta: bool) -> bytes:
    """A structured report whose content is a sequence that ends with a delimiter."""
    dataset = dicom_dataset(picture()[..., 0], SOPClassUID=ComprehensiveSRStorage, Modality="SR")
    dataset.file_meta.MediaStorageSOPClassUID = ComprehensiveSRStorage
    for keyword in ("Rows", "Columns", "SamplesPerPixel", "PhotometricInterpretation", "PixelData"):
        delattr(dataset, keyword)
    dataset.ContentSequence = [item(ValueType="TEXT", TextValue=PATIENT)]
    dataset["ContentSequence"].is_undefined_length = True
    content = dicom_bytes(dataset)
    start = content.find(b"DICM") + 4
    length = int.from_bytes(content[start + 8 : start + 12], "little")
    return content if meta else content[start + 12 + length :]


@pytest.mark.parametrize("meta", [True, False])
def test_a_report_that_ends_with_a_sequence_is_whole(*, meta: bool) -> None:
    with pytest.raises(UnsupportedImage, match=r"holds no picture \(DICOM structured report\)"):
        decode_dicom(report(meta=meta))
    frames = opened([report(meta=meta), *stack([0, 3, 6])])
    assert [each.file for each in frames.skipped] == [1]


def test_a_report_that_ends_within_its_sequence_is_damaged() -> None:
    with pytest.raises(BrokenImage, match="damaged or cut short"):
        decode_dicom(report(meta=True)[:-20])


def test_a_slice_that_is_cut_short_is_named_by_its_file() -> None:
    files = stack([0, 3, 6, 9])
    files[2] = files[2][:-20]
    with pytest.raises(BrokenImage, match="file 3: 76 bytes of pixel data"):
        opened(files)


@pytest.mark.parametrize("keyword", ["RescaleSlope", "RescaleIntercept"])
@pytest.mark.parametrize("written", [b"12,5", b"1..5", b"NaN "])
def test_values_that_are_no_numbers_are_refused_by_tag(keyword: str, written: bytes) -> None:
    tags: dict[str, Any] = {keyword: "12.5"}
    content = one_slice(3, **tags).replace(b"12.5", written)
    with pytest.raises(BrokenImage, match=f"attribute {keyword} is no number") as refused:
        decode_dicom(content)
    assert written.decode().strip() not in str(refused.value).replace("-1024.5", "")
    with pytest.raises(BrokenImage, match=f"file 2: the DICOM attribute {keyword}"):
        opened([one_slice(0), content, one_slice(6)])


def test_frames_that_nothing_but_their_place_in_the_file_tells_apart_are_named_so() -> None:
    frames = opened([enhanced([group((0, 0, 0)) for _ in range(3)])])
    assert values(frames) == [10, 20, 30]
    assert frames.rendering.endswith("frames in order of place in the file")


def test_times_with_colons_are_times() -> None:
    times = [b"10:59:59", b"11:00:00", b"11:00:02"]
    # As long; pydicom does not write the others.
    written = "105959.0"
    files = [one_slice(5, value=10 + i, AcquisitionTime=written) for i in range(len(times))]
    frames = opened(
        [file.replace(written.encode(), time) for file, time in zip(files, times, strict=True)]
    )
    assert "frames in order of AcquisitionTime" in frames.rendering
    assert [origin.time_ms for origin in frames.origins] == [0.0, 1000.0, 3000.0]
