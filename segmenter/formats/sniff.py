"""Tells formats by their content; a file's name is never looked at."""

from typing import Literal, get_args

from segmenter.errors import UnsupportedImage
from segmenter.formats.clips.containers import PICTURE_BRANDS
from segmenter.formats.dicom.encoding import META, file_start
from segmenter.formats.refusals import Route, refusal

PillowFormat = Literal["png", "jpeg", "webp", "bmp", "gif"]
StreamFormat = Literal["jpeg2000", "jpeg-ls", "jpeg-xl", "heic", "avif"]
RasterFormat = Literal[PillowFormat, StreamFormat, "tiff"]
Format = Literal[RasterFormat, "dicom"]
PILLOW_FORMATS: dict[str, PillowFormat] = {name: name for name in get_args(PillowFormat)}
STREAM_FORMATS: dict[str, StreamFormat] = {name: name for name in get_args(StreamFormat)}

_MAGIC: tuple[tuple[bytes, RasterFormat], ...] = (
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"\xff\xd8\xff\xf7", "jpeg-ls"),
    (b"\xff\xd8\xff", "jpeg"),
    (b"II*\x00", "tiff"),
    (b"MM\x00*", "tiff"),
    (b"II+\x00", "tiff"),
    (b"MM\x00+", "tiff"),
    (b"GIF87a", "gif"),
    (b"GIF89a", "gif"),
    (b"BM", "bmp"),
    (b"\x00\x00\x00\x0cjP  \r\n\x87\n", "jpeg2000"),
    (b"\xff\x4f\xff\x51", "jpeg2000"),
    (b"\xff\x0a", "jpeg-xl"),
    (b"\x00\x00\x00\x0cJXL \r\n\x87\n", "jpeg-xl"),
)

READ_HERE = (
    "PNG, JPEG, TIFF, WebP, BMP, GIF, JPEG 2000, JPEG-LS, JPEG XL, HEIC, AVIF and DICOM are read"
)


DAMAGED_PREFIX = (
    "this is DICOM whose prefix is not DICM (bytes 128 to 131): damaged; send the file as the "
    "scanner or archive wrote it"
)


def has_damaged_prefix(content: bytes) -> bool:
    """Tell whether file meta information follows where the DICM prefix should be."""
    return content[132:138] == META and file_start(content) is None


def sniff(content: bytes, route: Route = "picture", read_here: str = READ_HERE) -> Format:
    """Name the format of an upload.

    A DICOM preamble may hold another format's magic (PS3.10, 7.1), so DICOM is looked for first.

    Args:
        content: the whole file.
        route: that it was sent to, which the words of a refusal are for.
        read_here: the sentence that lists what that route reads.

    Raises:
        UnsupportedImage: neither DICOM nor a picture.
    """
    if file_start(content) is not None:
        return "dicom"
    if has_damaged_prefix(content):
        raise UnsupportedImage(DAMAGED_PREFIX)
    name = raster_format(content)
    if name is None:
        raise UnsupportedImage(refusal(content, route, read_here))
    return name


def raster_format(content: bytes) -> RasterFormat | None:
    """Name the format of a picture that is not DICOM; None if it is none that is read."""
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "webp"
    if content[4:8] == b"ftyp" and content[8:12] in PICTURE_BRANDS:
        brands = content[8 : min(int.from_bytes(content[:4], "big"), 264)]
        return "avif" if b"avif" in brands or b"avis" in brands else "heic"
    return next((name for magic, name in _MAGIC if content.startswith(magic)), None)
