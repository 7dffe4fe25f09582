"""Tells formats by their content; a file's name is never looked at."""

from typing import Literal

from segmenter.errors import UnsupportedImage
from segmenter.formats.dicom.encoding import META, file_start

RasterFormat = Literal["png", "jpeg", "tiff", "webp", "bmp", "gif"]
Format = Literal[RasterFormat, "dicom"]

_MAGIC: tuple[tuple[bytes, RasterFormat], ...] = (
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"\xff\xd8\xff", "jpeg"),
    (b"II*\x00", "tiff"),
    (b"MM\x00*", "tiff"),
    (b"II+\x00", "tiff"),
    (b"MM\x00+", "tiff"),
    (b"GIF87a", "gif"),
    (b"GIF89a", "gif"),
    (b"BM", "bmp"),
)

_TO_VOLUMES = "send it to POST /segment/volume"
# Offset, bytes, what to call it: formats people do send, named so that they learn why not.
_STRANGERS: tuple[tuple[int, bytes, str], ...] = (
    (0, b"PK\x03\x04", "a ZIP archive"),
    (0, b"%PDF", "a PDF document"),
    (0, b"\x1f\x8b", f"gzip-compressed content; if it is NIfTI, {_TO_VOLUMES}"),
    (344, b"n+1\x00", f"a NIfTI volume: {_TO_VOLUMES}"),
    (4, b"n+2\x00", f"a NIfTI volume: {_TO_VOLUMES}"),
    (0, b"NRRD000", f"an NRRD volume: {_TO_VOLUMES}"),
    (0, b"ObjectType", f"a MetaImage volume: {_TO_VOLUMES}"),
    (0, b"NDims", f"a MetaImage volume: {_TO_VOLUMES}"),
    (4, b"ftyp", "a video, HEIC or AVIF file"),
    (0, b"\x00\x00\x00\x0cjP  ", "a JPEG 2000 file"),
    (0, b"\xff\x4f\xff\x51", "a JPEG 2000 codestream"),
    (0, b"<", "XML or SVG text"),
)
READ_HERE = "PNG, JPEG, TIFF, WebP, BMP, GIF and DICOM are read"


def sniff(content: bytes) -> Format:
    """Name the format of an upload.

    A DICOM preamble may hold another format's magic (PS3.10, 7.1), so DICOM is looked for first.

    Raises:
        UnsupportedImage: none of the formats read here.
    """
    if file_start(content) is not None:
        return "dicom"
    if content[132:138] == META:
        raise UnsupportedImage(
            "this is DICOM whose prefix is not DICM (bytes 128 to 131): damaged; send the file as "
            "the scanner or archive wrote it"
        )
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "webp"
    for magic, name in _MAGIC:
        if content.startswith(magic):
            return name
    raise UnsupportedImage(f"this is {_stranger(content)}; {READ_HERE}")


def _stranger(content: bytes) -> str:
    for offset, magic, name in _STRANGERS:
        if content[offset : offset + len(magic)] == magic:
            return name
    return "no image format known here"
