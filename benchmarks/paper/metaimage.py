"""Reads MetaImage volumes (.mhd with .raw or .zraw)."""

import zlib
from pathlib import Path

import numpy as np

from benchmarks.paper.errors import ConversionError
from benchmarks.paper.volume import Volume

# Source: MetaIO's element types; little-endian unless the header says otherwise.
_TYPES = {
    "MET_CHAR": "i1",
    "MET_UCHAR": "u1",
    "MET_SHORT": "i2",
    "MET_USHORT": "u2",
    "MET_INT": "i4",
    "MET_UINT": "u4",
    "MET_FLOAT": "f4",
    "MET_DOUBLE": "f8",
}
_ORDER_KEYS = ("BinaryDataByteOrderMSB", "ElementByteOrderMSB")


def read_metaimage(path: Path) -> Volume:
    """Read a volume in the stored order of its slices, rows and columns.

    Raises:
        ConversionError: a header without what is needed, not three-dimensional, or values that
            are missing or of another length.
    """
    header = _read_header(path)
    try:
        size = [int(number) for number in header["DimSize"].split()]
        spacing = [float(number) for number in header["ElementSpacing"].split()]
        kind = _TYPES[header["ElementType"]]
        stored = path.parent / header["ElementDataFile"]
    except (KeyError, ValueError) as error:
        raise ConversionError(f"{path} lacks or garbles a field ({error})") from error
    if len(size) != 3 or len(spacing) != 3 or int(header.get("ElementNumberOfChannels", "1")) != 1:
        raise ConversionError(f"{path} is no single-channel volume: DimSize {size}")
    order = ">" if any(header.get(key) == "True" for key in _ORDER_KEYS) else "<"
    content = _read_values(stored, compressed=header.get("CompressedData") == "True")
    expected = int(np.prod(size)) * np.dtype(kind).itemsize
    if len(content) != expected:
        raise ConversionError(f"{stored} holds {len(content)} bytes, {expected} are declared")
    values = np.frombuffer(content, dtype=order + kind).reshape(size[::-1])
    return Volume(values, (spacing[1], spacing[0]))


def _read_header(path: Path) -> dict[str, str]:
    try:
        lines = path.read_text(encoding="ascii").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConversionError(f"{path} is no MetaImage header ({error})") from error
    pairs = (line.partition("=") for line in lines if "=" in line)
    return {key.strip(): value.strip() for key, _, value in pairs}


def _read_values(path: Path, *, compressed: bool) -> bytes:
    try:
        content = path.read_bytes()
        return zlib.decompress(content) if compressed else content
    except (OSError, zlib.error) as error:
        raise ConversionError(f"{path} cannot be read ({error})") from error
