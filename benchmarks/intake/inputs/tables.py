"""Look-up tables: modality, VOI and palettes, in every packing."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
from pydicom.dataset import Dataset

from benchmarks.intake.contract import Picture, PictureTruth
from benchmarks.intake.files import TWELVE_BITS, Pixels, by_dcmtk, grey8, grey12, plain, signed12
from benchmarks.intake.truth import dcm2pnm, source

VOI, MODALITY, PALETTE = "VOI LUT", "modality LUT", "palette"
BY_LUT, BY_WINDOW = dcm2pnm("+Wl", "1"), dcm2pnm("+Wi", "1")
G12, S12 = grey12(), signed12()
EIGHT = (255 - np.arange(4096) // 16).astype(np.uint8)
TWELVE = (4095 - np.arange(4096)).astype(np.uint16)
LONGEST = np.arange(65536, dtype=np.uint16)[::-1]
WIDE = {"WindowCenter": "20000", "WindowWidth": "40000"}
SQUARES = (np.arange(4096) ** 2 // 256).astype(np.uint16)


def table(
    entries: Pixels | list[int], first: int, bits: int, *, data: str = "OW", key: str = "US"
) -> Dataset:
    """Return an item of a LUT sequence.

    Args:
        entries: as they are stored.
        first: the value of the first.
        bits: of an entry, as the descriptor says.
        data: VR of the entries.
        key: VR of the descriptor.
    """
    item = Dataset()
    item.LUTDescriptor = [len(entries) % 65536, first, bits]
    item["LUTDescriptor"].VR = key
    raw = entries if isinstance(entries, list) else entries.tobytes()
    item.add_new("LUTData", data, raw if isinstance(raw, list) else raw + bytes(len(raw) % 2))
    item.ModalityLUTType = "US"
    return item


def _voi(name: str, pixels: Pixels, item: Dataset, **attributes: Any) -> Picture:
    build = partial(plain, pixels, VOILUTSequence=[item], **attributes)
    return Picture(name, VOI, build, BY_LUT)


def _modality(name: str, pixels: Pixels, item: Dataset, **attributes: Any) -> Picture:
    build = partial(plain, pixels, ModalityLUTSequence=[item], **TWELVE_BITS, **attributes)
    return Picture(name, MODALITY, build, BY_WINDOW)


def palette_file(
    bits: int, kind: str, scale: int, *, count: int = 256, first: int = 0, **attributes: Any
) -> bytes:
    """Return a palette picture.

    Args:
        bits: of an entry, as the descriptor says.
        kind: numpy's name of the stored entries.
        scale: of 8-bit colours to entries.
        count: of entries.
        first: the index of the first.
        attributes: of the file.
    """
    indices = attributes.pop("indices", grey8())
    tables: dict[str, Any] = {"PhotometricInterpretation": "PALETTE COLOR"}
    for name, colours in zip(("Red", "Green", "Blue"), _ramps(count).T, strict=True):
        raw = (colours * scale).astype(kind).tobytes()
        tables[f"{name}PaletteColorLookupTableDescriptor"] = [count % 65536, first, bits]
        tables[f"{name}PaletteColorLookupTableData"] = raw + bytes(len(raw) % 2)
    return plain(indices, **tables, **attributes)


def _ramps(count: int) -> Pixels:
    ramp = np.linspace(0, 255, count).astype(int)
    return np.stack([ramp, ramp[::-1], ramp * 7 % 256], axis=1)


def _colours() -> Pixels:
    return _ramps(256)[grey8()].astype(np.uint8)


def _palette(name: str, *args: Any, truth: PictureTruth | None = None, **options: Any) -> Picture:
    build = partial(palette_file, *args, **options)
    return Picture(name, PALETTE, build, truth or dcm2pnm())


INPUTS: Sequence[Picture] = (
    _voi("4,096 entries of 8 bits in bytes", G12, table(EIGHT, 0, 8), **TWELVE_BITS),
    _voi("entries of 8 bits in words", G12, table(EIGHT.astype("<u2"), 0, 8), **TWELVE_BITS),
    _voi("odd number of bytes", G12, table(EIGHT[:1501], 1000, 8), **TWELVE_BITS),
    _voi("entries of 12 bits", G12, table(TWELVE, 0, 12), **TWELVE_BITS),
    _voi(
        "entries as numbers (US)",
        G12,
        table(TWELVE.tolist(), 0, 12, data="US"),
        **TWELVE_BITS,
    ),
    _voi("12 bits, called 16", G12, table(TWELVE, 0, 16), **TWELVE_BITS),
    _voi("starts at 1,000, ends early", G12, table(TWELVE[:1500], 1000, 12), **TWELVE_BITS),
    _voi("65,536 entries, written as 0", G12 * 16, table(LONGEST, 0, 16)),
    _voi("signed first value", S12, table(TWELVE, -2048, 12, key="SS"), **TWELVE_BITS),
    _voi("signed first value, written unsigned", S12, table(TWELVE, 63488, 12), **TWELVE_BITS),
    _voi(
        "first value in Hounsfield units",
        G12,
        table(TWELVE, 65536 - 1024, 12),
        **TWELVE_BITS,
        RescaleSlope="1",
        RescaleIntercept="-1024",
    ),
    _voi(
        "MONOCHROME1",
        G12,
        table(TWELVE, 0, 12),
        **TWELVE_BITS,
        PhotometricInterpretation="MONOCHROME1",
    ),
    _modality("entries of 16 bits", G12, table(SQUARES, 0, 16), **WIDE),
    _modality("entries of 8 bits", G12, table(EIGHT, 0, 8), WindowCenter="128", WindowWidth="256"),
    _modality(
        "signed first value",
        S12,
        table(SQUARES, -2048, 16, key="SS"),
        **WIDE,
    ),
    Picture(
        "before a VOI LUT",
        MODALITY,
        partial(
            plain,
            G12,
            ModalityLUTSequence=[table(SQUARES, 0, 16)],
            VOILUTSequence=[table(LONGEST, 0, 16)],
            **TWELVE_BITS,
        ),
        BY_LUT,
    ),
    _palette("entries of 16 bits", 16, "<u2", 257),
    _palette("entries of 16 bits, high byte alone", 16, "<u2", 256),
    _palette("entries of 8 bits in bytes", 8, "u1", 1),
    _palette("entries of 8 bits in words", 8, "<u2", 1),
    _palette("201 entries of 8 bits", 8, "u1", 1, count=201),
    _palette("100 entries from index 10", 16, "<u2", 257, count=100, first=10),
    _palette("4,096 entries", 16, "<u2", 257, count=4096, indices=G12),
    _palette("8-bit entries called 16", 16, "<u2", 1, truth=source(_colours)),
    Picture(
        "run lengths", PALETTE, lambda: by_dcmtk("dcmcrle", palette_file(16, "<u2", 257)), dcm2pnm()
    ),
)
