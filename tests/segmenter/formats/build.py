"""Small valid files of every kind, made in code."""

import struct
import zlib
from io import BytesIO
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    ExplicitVRLittleEndian,
    JPEGBaseline8Bit,
    UltrasoundImageStorage,
    generate_uid,
)

from segmenter.formats.decoded import Window
from segmenter.formats.frames import Frames

PATIENT = "Doe^Jane"
# Shows values from 0 to 255 as they are.
AS_STORED = Window(127.5, 255.0)


def shown_values(frames: Frames) -> npt.NDArray[np.uint8]:
    """Return the grey of all frames: uint8, shape (F, H, W)."""
    return np.stack([frames.frame(index)[:, :, 0] for index in range(frames.count)])


def picture(height: int = 24, width: int = 40) -> npt.NDArray[np.uint8]:
    """Smooth RGB, every corner another colour: uint8, shape (H, W, 3)."""
    down, right = np.mgrid[0:height, 0:width]
    red, green = 255 * down // (height - 1), 255 * right // (width - 1)
    return np.stack([red, green, 255 - red // 2], axis=2).astype(np.uint8)


def save(image: Image.Image, name: str, **options: Any) -> bytes:
    stream = BytesIO()
    image.save(stream, format=name, **options)
    return stream.getvalue()


def png_chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png_bomb(width: int, height: int) -> bytes:
    """A PNG that claims a size; its pixels never follow."""
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(b"")), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(png_chunk(*chunk) for chunk in chunks)


def tiff(entries: list[tuple[int, int, int, int]], tail: bytes = b"") -> bytes:
    """A little-endian TIFF of one directory: (tag, type, count, value or offset)."""
    body = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    return b"II*\x00\x08\x00\x00\x00" + struct.pack("<H", len(entries)) + body + bytes(4) + tail


def dicom_dataset(pixels: npt.NDArray[Any], **attributes: Any) -> Dataset:
    """An image of (H, W), (H, W, 3) or, with NumberOfFrames, (N, H, W)."""
    frames = attributes.get("NumberOfFrames")
    shape = pixels.shape[1:] if frames else pixels.shape
    dataset = Dataset()
    dataset.SOPClassUID = UltrasoundImageStorage
    dataset.SOPInstanceUID = generate_uid()
    dataset.PatientName = PATIENT
    dataset.PatientID = "4711"
    dataset.PatientBirthDate = "19700102"
    dataset.Modality = "CT"
    dataset.Rows, dataset.Columns = shape[:2]
    dataset.SamplesPerPixel = 3 if len(shape) == 3 else 1
    if dataset.SamplesPerPixel == 3:
        dataset.PlanarConfiguration = 0
    dataset.PhotometricInterpretation = "RGB" if dataset.SamplesPerPixel == 3 else "MONOCHROME2"
    bits = pixels.dtype.itemsize * 8
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = bits, bits, bits - 1
    dataset.PixelRepresentation = int(pixels.dtype.kind == "i")
    for keyword, value in attributes.items():
        setattr(dataset, keyword, value)
    raw = pixels.tobytes()
    dataset.PixelData = raw + bytes(len(raw) % 2)
    dataset["PixelData"].VR = "OB" if bits == 8 else "OW"
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.MediaStorageSOPClassUID = UltrasoundImageStorage
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return dataset


def dicom_bytes(dataset: Dataset) -> bytes:
    stream = BytesIO()
    dataset.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


def dicom(pixels: npt.NDArray[Any], **attributes: Any) -> bytes:
    return dicom_bytes(dicom_dataset(pixels, **attributes))


def dicom_jpeg(frames: list[bytes], like: npt.NDArray[Any], **attributes: Any) -> bytes:
    """A DICOM file of JPEG frames, with the attributes of `like`."""
    dataset = dicom_dataset(like, **attributes)
    dataset.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    dataset.PixelData = encapsulate(frames)
    dataset["PixelData"].is_undefined_length = True
    return dicom_bytes(dataset)
