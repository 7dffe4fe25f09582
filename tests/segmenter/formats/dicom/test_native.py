"""Pixel cells to numbers: shifted from HighBit, masked, signed; and the bytes that hold them."""

from typing import Any

import numpy as np
import pytest

from benchmarks.intake.files import with_bytes
from segmenter.errors import BrokenImage, UnsupportedImage
from segmenter.formats.dicom.image import decode_dicom
from segmenter.formats.dicom.layout import Layout
from segmenter.formats.dicom.native import stored_values
from tests.segmenter.formats.build import dicom


def layout(stored: int, high: int, *, signed: bool, allocated: int = 16) -> Layout:
    return Layout(1, 4, 1, 1, allocated, stored, "MONOCHROME2", high, signed)


@pytest.mark.parametrize(
    ("stored", "high", "signed", "words", "numbers"),
    [
        (16, 15, False, [0, 1, 65535], [0, 1, 65535]),
        (16, 15, True, [0, 1, 65535], [0, 1, -1]),
        (12, 11, False, [0x0FFF, 0xAFFF, 0xF001], [4095, 4095, 1]),
        (12, 11, True, [0x0FFF, 0x0800, 0x07FF], [-1, -2048, 2047]),
        (12, 15, False, [0xFFF0, 0x0010, 0x001F], [4095, 1, 1]),
        (12, 15, True, [0xFFF0, 0x8000, 0x7FF0], [-1, -2048, 2047]),
        (10, 11, False, [0xFFF, 0x004, 0xF003], [1023, 1, 0]),
        (1, 0, False, [1, 2, 3], [1, 0, 1]),
    ],
)
def test_a_number_is_its_stored_bits_alone(
    stored: int, high: int, signed: bool, words: list[int], numbers: list[int]
) -> None:
    found = stored_values(np.array(words, np.uint16), 16, layout(stored, high, signed=signed))
    assert found.tolist() == numbers


def test_what_an_encoder_already_shifted_is_not_shifted_again() -> None:
    found = stored_values(np.array([4095], np.uint16), 12, layout(12, 15, signed=False))
    assert found.tolist() == [4095]


@pytest.mark.parametrize(("stored", "high"), [(12, 10), (12, 16), (17, 16)])
def test_bits_that_cannot_be_are_refused_with_their_numbers(stored: int, high: int) -> None:
    with pytest.raises(BrokenImage, match=r"HighBit|out of their range"):
        decode_dicom(dicom(np.zeros((4, 4), np.uint16), BitsStored=stored, HighBit=high))


@pytest.mark.parametrize("bits", [12, 24, 64])
def test_pixels_of_other_sizes_are_refused_by_their_bits(bits: int) -> None:
    with pytest.raises(UnsupportedImage, match=f"{bits} bits"):
        decode_dicom(dicom(np.zeros((4, 4), np.uint8), BitsAllocated=bits))


YBR: Any = np.array([[[200, 128, 128], [100, 128, 128]], [[50, 128, 128], [0, 128, 128]]], np.uint8)
GREY = [[200, 100], [50, 0]]


@pytest.mark.parametrize(
    ("raw", "rule"),
    [
        (bytes([200, 100, 128, 128, 50, 0, 128, 128]), "YBR to RGB"),
        (YBR.tobytes(), "three samples a pixel where the file says 4:2:2; YBR to RGB"),
    ],
    ids=["two bytes a pixel", "three bytes a pixel"],
)
def test_half_the_colours_are_read_by_how_many_bytes_there_are(raw: bytes, rule: str) -> None:
    decoded = decode_dicom(with_bytes(YBR, raw, PhotometricInterpretation="YBR_FULL_422"))
    assert decoded.pixels[..., 0].tolist() == GREY
    assert np.ptp(decoded.pixels, axis=2).max() == 0
    assert decoded.rendering == rule


def test_single_bits_of_a_later_frame_begin_within_a_byte() -> None:
    bits = np.random.default_rng(0).integers(0, 2, (3, 5, 3)).astype(np.uint8)
    packed = np.packbits(bits.ravel(), bitorder="little").tobytes()
    content = with_bytes(bits[0], packed, BitsAllocated=1, BitsStored=1, HighBit=0)
    assert (decode_dicom(content).pixels[..., 0] > 0).tolist() == (bits[0] > 0).tolist()


@pytest.mark.parametrize("photometric", ["ARGB", "CMYK", "HSV"])
def test_a_retired_photometric_is_refused_by_name(photometric: str) -> None:
    with pytest.raises(UnsupportedImage, match=f"{photometric} is retired"):
        decode_dicom(dicom(YBR, PhotometricInterpretation=photometric))
