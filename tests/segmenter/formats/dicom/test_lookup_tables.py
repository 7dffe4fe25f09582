"""Look-up tables in every packing; more of them beside DCMTK in `tests.benchmarks.intake`."""

from typing import Any

import numpy as np
import pytest

from benchmarks.intake.inputs.tables import palette_file, table
from segmenter.errors import BrokenImage, UnsupportedImage
from segmenter.formats.dicom.image import decode_dicom
from tests.segmenter.formats.build import dicom

STORED = np.array([[0, 1, 255, 256, 300, 4095]], np.uint16)
# 4,096 entries of 8 bits: the sixteenth part of the value.
EIGHT = (np.arange(4096) // 16).astype(np.uint8)
EXPECTED = [0, 0, 15, 16, 18, 255]


@pytest.mark.parametrize(
    "item",
    [
        table(EIGHT, 0, 8),
        table(EIGHT.astype("<u2"), 0, 8),
        table(EIGHT.astype(int).tolist(), 0, 8, data="US"),
    ],
    ids=["bytes", "words", "numbers"],
)
def test_a_voi_lut_of_more_than_256_entries_of_8_bits_is_looked_up(item: Any) -> None:
    decoded = decode_dicom(dicom(STORED, BitsStored=12, HighBit=11, VOILUTSequence=[item]))
    assert decoded.pixels[0, :, 0].tolist() == EXPECTED
    assert decoded.rendering == "VOI LUT from tags"


@pytest.mark.parametrize(("first", "key"), [(-2, "SS"), (65534, "US")])
def test_a_first_value_below_0_is_one_however_it_is_written(first: int, key: str) -> None:
    stored = np.array([[-300, -2, -1, 0, 9]], np.int16)
    item = table(np.array([0, 100, 255], np.uint8), first, 8, key=key)
    decoded = decode_dicom(dicom(stored, VOILUTSequence=[item]))
    assert decoded.pixels[0, :, 0].tolist() == [0, 0, 100, 255, 255]


def test_a_table_of_65536_entries_is_written_as_0_entries() -> None:
    item = table(np.arange(65536, dtype=np.uint16)[::-1], 0, 16)
    decoded = decode_dicom(dicom(np.array([[0, 65535]], np.uint16), VOILUTSequence=[item]))
    assert decoded.pixels[0, :, 0].tolist() == [255, 0]


def test_a_modality_lut_of_8_bits_comes_before_the_window() -> None:
    item = table(EIGHT, 0, 8)
    window = {"WindowCenter": "127.5", "WindowWidth": "255", "VOILUTFunction": "LINEAR_EXACT"}
    decoded = decode_dicom(dicom(STORED, ModalityLUTSequence=[item], **window))
    assert decoded.pixels[0, :, 0].tolist() == EXPECTED


def test_a_table_shorter_than_it_says_is_broken() -> None:
    item = table(EIGHT, 0, 8)
    item.LUTDescriptor = [9000, 0, 8]
    with pytest.raises(BrokenImage, match="4096 entries where 9000 are due"):
        decode_dicom(dicom(STORED, VOILUTSequence=[item]))


@pytest.mark.parametrize("descriptor", [None, [3, 0], [3, 0, 0], [3, 0, 17]])
def test_a_table_without_a_usable_descriptor_is_broken(descriptor: Any) -> None:
    item = table(EIGHT, 0, 8)
    item.LUTDescriptor = descriptor
    with pytest.raises(BrokenImage, match="look-up table"):
        decode_dicom(dicom(STORED, VOILUTSequence=[item]))


def test_a_palette_of_8_bit_entries_that_calls_itself_16_is_not_black() -> None:
    decoded = decode_dicom(palette_file(16, "<u2", 1))
    assert decoded.pixels.max() == 255
    assert decoded.rendering == "palette colour of 8-bit entries"


def test_a_palette_in_segments_is_read() -> None:
    # A discrete segment of one entry, and a linear one of three more up to 255.
    segments = np.array([0, 1, 0, 1, 3, 0xFFFF], "<u2").tobytes()
    tables: dict[str, Any] = {"PhotometricInterpretation": "PALETTE COLOR"}
    for colour in ("Red", "Green", "Blue"):
        tables[f"{colour}PaletteColorLookupTableDescriptor"] = [4, 0, 16]
        tables[f"Segmented{colour}PaletteColorLookupTableData"] = segments
    decoded = decode_dicom(dicom(np.array([[0, 1, 2, 3]], np.uint8), **tables))
    assert decoded.pixels[0, :, 0].tolist() == [0, 85, 170, 255]


def test_a_palette_that_is_not_there_is_said_so() -> None:
    stored = np.zeros((4, 4), np.uint8)
    with pytest.raises(UnsupportedImage, match="palette is not in the file"):
        decode_dicom(dicom(stored, PhotometricInterpretation="PALETTE COLOR"))
