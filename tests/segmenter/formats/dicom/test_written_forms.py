"""Ways of writing that are rare and sound, or broken in a way that can be named."""

from functools import partial
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import ExplicitVRBigEndian, JPEGBaseline8Bit

from segmenter.errors import BrokenImage
from segmenter.formats.dicom.image import decode_dicom
from segmenter.formats.dicom.series.opening import open_dicom
from segmenter.formats.dicom.series.source_files import DicomFile
from segmenter.formats.limits import Limits
from tests.segmenter.formats.build import dicom, dicom_bytes, dicom_dataset, picture, save


@pytest.mark.parametrize("frames", [None, 3])
def test_big_endian_words_of_odd_frames_are_read(frames: int | None) -> None:
    pixels = np.arange(27, dtype=np.uint8).reshape(3, 3, 3)
    tags: dict[str, Any] = {"NumberOfFrames": frames} if frames else {}
    dataset = dicom_dataset(pixels, **tags)
    # Bytes lie in words, the second first.
    raw = np.frombuffer(dataset.PixelData, "u2").byteswap().tobytes()
    dataset.PixelData = raw
    dataset["PixelData"].VR = "OW"
    dataset.file_meta.TransferSyntaxUID = ExplicitVRBigEndian
    content = dicom_bytes(dataset)
    found = decode_dicom(content).pixels
    assert found.tolist() == (np.stack([pixels[0]] * 3, axis=-1) if frames else pixels).tolist()
    if frames:
        frame = open_dicom([DicomFile(1, lambda: content)], Limits()).frame
        assert [int(frame(i).max()) for i in range(3)] == [8, 17, 26]


def test_a_photometric_interpretation_in_small_letters_is_read() -> None:
    content = dicom(picture()[..., 0].copy(), PhotometricInterpretation="MONOCHROME2")
    small = content.replace(b"MONOCHROME2", b"monochrome2")
    assert np.array_equal(decode_dicom(small).pixels, decode_dicom(content).pixels)


def test_a_voi_lut_without_entries_is_refused_by_name() -> None:
    table = Dataset()
    table.LUTDescriptor = [256, 0, 8]
    with pytest.raises(BrokenImage, match="look-up table without its entries"):
        decode_dicom(dicom(picture()[..., 0].copy(), VOILUTSequence=[table]))


def test_a_number_of_frames_that_is_no_number_is_named() -> None:
    content = dicom(np.zeros((1, 4, 4), np.uint8), NumberOfFrames=1)
    broken = content.replace(b"\x28\x00\x08\x00IS\x02\x001 ", b"\x28\x00\x08\x00IS\x02\x001A")
    assert broken != content
    with pytest.raises(BrokenImage, match="attribute NumberOfFrames is missing or no number"):
        decode_dicom(broken)


def jpeg_clip(encoded: bytes, frames: int = 4) -> bytes:
    """A colour clip of four frames with these items."""
    made = dicom_dataset(np.stack([picture()] * 4), NumberOfFrames=frames, FrameTime="40")
    made.PhotometricInterpretation = "YBR_FULL_422"
    made.PixelData = encoded
    made["PixelData"].is_undefined_length = True
    made["PixelData"].VR = "OB"
    made.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    return dicom_bytes(made)


def jpegs() -> list[bytes]:
    return [save(Image.new("RGB", (40, 24), (60 * i, 0, 0)), "JPEG") for i in range(4)]


@pytest.mark.parametrize("fragments", [1, 2])
@pytest.mark.parametrize(
    "table",
    [[0, 0, 0, 0], [0, 999_999, 1_999_999, 2_999_999], [0, 2, 4, 6], [0, 1], [8, 16, 24, 32]],
)
def test_an_offset_table_that_points_elsewhere_is_left_out(
    table: list[int], fragments: int
) -> None:
    items = encapsulate(jpegs(), fragments_per_frame=fragments, has_bot=False)
    offsets = np.array(table, "<u4").tobytes()
    encoded = items[:4] + len(offsets).to_bytes(4, "little") + offsets + items[8:]
    content = jpeg_clip(encoded)
    frames = open_dicom([DicomFile(1, lambda: content)], Limits())
    shown = [int(frames.frame(index)[12, 20, 0]) for index in range(4)]
    assert shown == pytest.approx([0, 60, 120, 180], abs=3)


def test_fewer_encoded_frames_than_declared_are_counted() -> None:
    content = jpeg_clip(encapsulate(jpegs()), frames=6)
    with pytest.raises(BrokenImage, match="NumberOfFrames is 6, and there are no more than 4"):
        open_dicom([DicomFile(1, lambda: content)], Limits())


@pytest.mark.parametrize("frames", [1, 3])
def test_frames_beyond_those_declared_are_told(frames: int) -> None:
    told = f"pixel data of 4 frames where NumberOfFrames says {frames}"
    native = dicom(np.zeros((4, 6, 8), np.uint8), NumberOfFrames=4)
    native = native.replace(b"IS\x02\x004 ", b"IS\x02\x00%d " % frames)
    for content in (native, jpeg_clip(encapsulate(jpegs()), frames=frames)):
        opened = open_dicom([DicomFile(1, partial(bytes, content))], Limits())
        assert (opened.count, told in opened.rendering) == (frames, True)
        assert told in decode_dicom(content).rendering
    assert "NumberOfFrames" not in decode_dicom(jpeg_clip(encapsulate(jpegs()))).rendering
