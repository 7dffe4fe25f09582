"""Small DICOM files, made in code: what is in them, how they are written, and who encodes them."""

import shutil
import subprocess
import tempfile
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image
from pydicom import uid
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate

from benchmarks.intake.contract import TruthIsMissing

Pixels = npt.NDArray[Any]
ROWS, COLUMNS = 48, 64
# A window that cuts both ends of the 12-bit picture.
WINDOW = {"WindowCenter": "2000", "WindowWidth": "3000"}
TWELVE_BITS = {"BitsStored": 12, "HighBit": 11}
_PREFIX_BYTES = 132
_TOOL_S = 60.0


def grey8() -> Pixels:
    """Stripes of every value: uint8, shape (48, 64)."""
    down, right = np.mgrid[0:ROWS, 0:COLUMNS]
    return np.asarray((right * 3 + down * 2) % 256, np.uint8)


def grey12() -> Pixels:
    """Waves from 0 to 4,000: uint16, shape (48, 64)."""
    down, right = np.mgrid[0:ROWS, 0:COLUMNS]
    waves = np.sin(right / 9) + np.cos(down / 7)
    return np.asarray(np.rint(waves * 1000 + 2000), np.uint16)


def signed12() -> Pixels:
    """The same around 0: int16."""
    return (grey12().astype(np.int32) - 2048).astype(np.int16)


def colours() -> Pixels:
    """Smooth RGB, every corner another colour: uint8, shape (48, 64, 3)."""
    down, right = np.mgrid[0:ROWS, 0:COLUMNS]
    red, green = 255 * down // (ROWS - 1), 255 * right // (COLUMNS - 1)
    return np.stack([red, green, 255 - red // 2], axis=2).astype(np.uint8)


def noise() -> Pixels:
    """Colours without any order: uint8, shape (48, 64, 3)."""
    return np.random.default_rng(0).integers(0, 256, (ROWS, COLUMNS, 3), np.uint8)


def ybr(rgb: Pixels) -> Pixels:
    """Return the colours as full-range YCbCr."""
    return np.asarray(Image.fromarray(rgb).convert("YCbCr"))


def halved(full: Pixels) -> bytes:
    """Return YCbCr as Y Y Cb Cr, two pixels with the colours of the first."""
    pairs = np.empty((*full.shape[:1], full.shape[1] // 2, 4), np.uint8)
    pairs[..., 0], pairs[..., 1] = full[:, 0::2, 0], full[:, 1::2, 0]
    pairs[..., 2], pairs[..., 3] = full[:, 0::2, 1], full[:, 0::2, 2]
    return pairs.tobytes()


def dataset(pixels: Pixels, **attributes: Any) -> Dataset:
    """Return an image of (H, W), (H, W, 3) or, with NumberOfFrames, (N, H, W), uncompressed."""
    shape = pixels.shape[1:] if attributes.get("NumberOfFrames") else pixels.shape
    made = Dataset()
    made.SOPClassUID = uid.SecondaryCaptureImageStorage
    made.SOPInstanceUID = uid.generate_uid()
    made.Modality = "OT"
    made.Rows, made.Columns = shape[:2]
    made.SamplesPerPixel = 3 if len(shape) == 3 else 1
    if made.SamplesPerPixel == 3:
        made.PlanarConfiguration = 0
    made.PhotometricInterpretation = "RGB" if made.SamplesPerPixel == 3 else "MONOCHROME2"
    bits = pixels.dtype.itemsize * 8
    made.BitsAllocated, made.BitsStored, made.HighBit = bits, bits, bits - 1
    made.PixelRepresentation = int(pixels.dtype.kind == "i")
    for keyword, value in attributes.items():
        setattr(made, keyword, value)
    set_pixels(made, pixels.tobytes())
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = uid.ExplicitVRLittleEndian
    return made


def set_pixels(made: Dataset, raw: bytes) -> None:
    """Put bytes into the pixel data as they are."""
    made.PixelData = raw + bytes(len(raw) % 2)
    made["PixelData"].VR = "OB" if made.BitsAllocated <= 8 else "OW"


def saved(made: Dataset) -> bytes:
    """Return the file of a data set."""
    stream = BytesIO()
    made.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


def plain(pixels: Pixels, **attributes: Any) -> bytes:
    """Return the file of an uncompressed image."""
    return saved(dataset(pixels, **attributes))


def with_bytes(pixels: Pixels, raw: bytes, **attributes: Any) -> bytes:
    """Return a file with the attributes of an image and other bytes for its pixels."""
    made = dataset(pixels, **attributes)
    set_pixels(made, raw)
    return saved(made)


def framed(frame: bytes, syntax: str, pixels: Pixels, **attributes: Any) -> bytes:
    """Return a file with the attributes of an image and one encoded frame."""
    made = dataset(pixels, **attributes)
    made.file_meta.TransferSyntaxUID = uid.UID(syntax)
    made.PixelData = encapsulate([frame])
    made["PixelData"].is_undefined_length = True
    made["PixelData"].VR = "OB"
    return saved(made)


def written(made: Dataset, syntax: str) -> bytes:
    """Return the file of a data set in another uncompressed transfer syntax."""
    made.file_meta.TransferSyntaxUID = uid.UID(syntax)
    return saved(made)


def renamed(content: bytes, old: str, new: str) -> bytes:
    """Return a file that names another transfer syntax, no longer one, than it is written in."""
    at, length = content.index(old.encode()), len(old) + len(old) % 2
    return content[:at] + new.encode().ljust(length, b"\0") + content[at + length :]


def without_meta(content: bytes, *, preamble: bool = False) -> bytes:
    """Return a file without its file meta information, with or without preamble and prefix."""
    at = _PREFIX_BYTES
    length = int.from_bytes(content[at + 8 : at + 12], "little")
    attributes = content[at + 12 + length :]
    return content[:at] + attributes if preamble else attributes


def tool(name: str) -> str:
    """Return the path of a program of DCMTK.

    Raises:
        TruthIsMissing.
    """
    found = shutil.which(name)
    if found is None:
        raise TruthIsMissing(f"{name} is not installed: make tools")
    return found


def by_dcmtk(name: str, content: bytes, *options: str) -> bytes:
    """Return what a program of DCMTK makes of a file: an encoder, a decoder or a converter.

    Raises:
        TruthIsMissing: it is not there, or refuses the file.
    """
    with tempfile.TemporaryDirectory() as folder:
        given, made = Path(folder) / "in.dcm", Path(folder) / "out"
        given.write_bytes(content)
        done = subprocess.run(
            [tool(name), *options, str(given), str(made)],
            capture_output=True,
            timeout=_TOOL_S,
            check=False,
        )
        if done.returncode != 0 or not made.exists():
            raise TruthIsMissing(f"{name} does not read it")
        return made.read_bytes()
