"""What a file is that the route it was sent to does not read, and what to do with it."""

import codecs
import struct
import zlib
from collections.abc import Callable
from typing import Literal, NamedTuple

from segmenter.formats.clips.containers import MOVING_BRANDS, clip_kind

# Where the other kind of file is read, for callers of the service and of the command line.
TO_VOLUME = "send it to POST /segment/volume (medsam3 segment FILE --prompt WORDS)"
TO_PICTURE = (
    "send it to POST /segment or POST /agent/segment (medsam3 segment FILE --concept WORDS)"
)
AS_PICTURE = "export the picture in it as PNG or DICOM"
AS_PNG = "export it as PNG or TIFF"
METAIMAGE = "send the whole .mha, or the .mhd with its data file"
AS_MP4 = "put it in an MP4 file"
NIFTI_HEADER_BYTES = 540
# Of a packed file so much is looked at: a header, and the magic of a tar archive.
PACKED_HEAD_BYTES = 4096
TEXT_HEAD_BYTES = 16 * 1024
# Of a text in an older code page the letters of English are most; of numbers they are few.
ASCII_SHARE = 0.8
# Names of folders and files that come first in Office documents. Source: ECMA-376, ODF 1.3.
_OFFICE = (b"[Content_Types].xml", b"word/", b"ppt/", b"xl/", b"_rels/", b"docProps/", b"mimetype")
Route = Literal["picture", "sequence"]


class Unread(NamedTuple):
    """A kind of file.

    Attributes:
        what: with its article.
        to_do: with it.
        elsewhere: whether another route reads it.
    """

    what: str
    to_do: str | None = None
    elsewhere: bool = False


UNKNOWN_FORMAT = Unread("no image format known here")
TEXT = Unread("a text file", "send the picture or volume itself")
_TAR = Unread("a tar archive", "send its files, or a ZIP archive")
_OFFICE_DOCUMENT = Unread("an Office document", AS_PICTURE)
_SOUND = Unread("a sound file")
_H264, _H265 = (
    Unread("a raw H.264 stream", AS_MP4),
    Unread("a raw H.265 stream", AS_MP4),
)

# Offset, bytes, what it is: formats people do send, named so that they learn why not.
_BY_MAGIC: tuple[tuple[int, bytes, Unread], ...] = (
    (0, b"%PDF", Unread("a PDF document", AS_PICTURE)),
    (0, b"{\\rtf", Unread("an RTF document", AS_PICTURE)),
    (0, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", _OFFICE_DOCUMENT),
    (0, b"8BPS", Unread("a Photoshop document", AS_PNG)),
    (0, b"%!PS", Unread("PostScript", AS_PNG)),
    (0, b"v/1\x01", Unread("an OpenEXR picture", AS_PNG)),
    (0, b"II\xbc\x01", Unread("a JPEG XR picture", AS_PNG)),
    (0, b"BPG\xfb", Unread("a BPG picture", AS_PNG)),
    (0, b"FUJIFILMCCD-RAW", Unread("the raw picture of a camera", AS_PNG)),
    (0, b"IIU\x00", Unread("the raw picture of a camera", AS_PNG)),
    (0, b"IIRO", Unread("the raw picture of a camera", AS_PNG)),
    (4, b"ftypcrx ", Unread("the raw picture of a camera", AS_PNG)),
    (4, b"ftypavc", Unread("a HEIF picture coded as AVC", AS_PNG)),
    (4, b"ftypM4", _SOUND),
    (0, b"SIMPLE  =", Unread("a FITS picture", AS_PNG)),
    (0, b"ZISRAWFILE", Unread("a Zeiss CZI file", "export it as OME-TIFF")),
    (0, b"\xda\xce\xbe\x0a", Unread("a Nikon ND2 file", "export it as OME-TIFF")),
    (0, b"\x89HDF\r\n", Unread("an HDF5 or MINC file", "convert it to NIfTI")),
    (0, b"MATLAB 5.0", Unread("a MATLAB file", "save the picture in it as PNG or NIfTI")),
    (0, b"\x93NUMPY", Unread("a NumPy array", "save it as PNG or NIfTI")),
    (0, b"BZh", Unread("a bzip2 file", "unpack it")),
    (0, b"\xfd7zXZ\x00", Unread("an xz file", "unpack it")),
    (0, b"7z\xbc\xaf\x27\x1c", Unread("a 7-Zip archive", "send its files, or a ZIP archive")),
    (0, b"Rar!\x1a\x07", Unread("a RAR archive", "send its files, or a ZIP archive")),
    (0, b"\x28\xb5\x2f\xfd", Unread("a Zstandard file", "unpack it")),
    (0, b"PK\x05\x06", Unread("a ZIP archive with nothing in it")),
    (0, b"PK\x07\x08", Unread("a part of a split ZIP archive", "send it as one archive")),
    (257, b"ustar", _TAR),
    (0, b"CDF", Unread("a NetCDF or MINC file", "convert it to NIfTI")),
    (0, b"# vtk DataFile", Unread("a VTK file", "convert it to NIfTI or NRRD")),
    (
        0,
        b"\x89PNG",
        Unread("a PNG picture that was changed on its way, as texts are", "send it unchanged"),
    ),
    (0, b"\0\0\0\1\x67", _H264),
    (0, b"\0\0\0\1\x27", _H264),
    (0, b"\0\0\0\1\x09", _H264),
    (0, b"\0\0\0\1\x40\x01", _H265),
    (0, b"\0\0\0\1\x46\x01", _H265),
    (0, b"DKIF", Unread("an IVF video", AS_MP4)),
    (0, b"YUV4MPEG2", Unread("a Y4M video", AS_MP4)),
    (0, b"\x1f\x07\x00", Unread("a raw DV stream", "put it in an AVI file")),
    (0, b".RMF", Unread("a RealMedia video", "convert it to MP4")),
    *((0, mark, Unread("a Flash film", "convert it to MP4")) for mark in (b"FWS", b"CWS")),
    (0, b"ID3", _SOUND),
    (8, b"WAVE", _SOUND),
    (8, b"AIFF", _SOUND),
    (0, b"fLaC", _SOUND),
    (0, b"#!AMR", _SOUND),
    *((0, b"\xff" + mark, _SOUND) for mark in (b"\xf1", b"\xf9", b"\xfb", b"\xf3", b"\xf2")),
)
_PNM = {f"P{number}".encode() + end for number in range(1, 8) for end in (b"\n", b" ", b"\r")}
_METAIO = (b"ObjectType", b"NDims")
_SVG, _HTML = (b"<svg", b":svg"), (b"<!doctype html", b"<html")


def unread_format(content: bytes, route: Route) -> Unread:
    """Say what a file is, by its content, that a route does not read."""
    return _sequence(content, route) or _other(content) or UNKNOWN_FORMAT


def refusal(content: bytes, route: Route, read_here: str) -> str:
    """Return the words that refuse a file.

    Args:
        content: of the file.
        route: that refuses.
        read_here: the sentence that lists what that route reads.
    """
    found = unread_format(content, route)
    words = f"this is {found.what}"
    if found.to_do is not None:
        words = f"{words}: {found.to_do}"
    return words if found.elsewhere else f"{words}; {read_here}"


def single_picture(kind: str, head: bytes = b"") -> str:
    """Return the words that refuse a picture where a sequence is read; `head` begins its file."""
    if head[8:12] in MOVING_BRANDS:
        return (
            f"this is a sequence of pictures ({kind}), which is not read as a clip: convert it to"
            f" MP4, or, for its first picture, {TO_PICTURE}"
        )
    return f"this is a single picture ({kind}): {TO_PICTURE}"


def _sequence(content: bytes, route: Route) -> Unread | None:
    """Recognise what only the route of volumes and clips reads."""
    what = _volume_kind(content)
    if what is None and (kind := clip_kind(content)) is not None:
        what = kind.what
    if what is None or route == "sequence":
        return None
    return Unread(what, TO_VOLUME, elsewhere=True)


def _volume_kind(content: bytes) -> str | None:
    if content.startswith(b"PK\x03\x04"):
        return None if is_office(content) else "a ZIP archive"
    packed = content.startswith(b"\x1f\x8b")
    head = _inflated(content) if packed else content[:NIFTI_HEADER_BYTES]
    return "a NIfTI volume" if _is_nifti(head) else _text_volume_kind(content)


def _text_volume_kind(content: bytes) -> str | None:
    """Recognise a volume whose header is text."""
    if content.startswith(b"NRRD000"):
        return "an NRRD volume"
    if content.startswith(_METAIO):
        return "a MetaImage volume"
    return None


def is_office(content: bytes) -> bool:
    """Tell whether a ZIP archive is an Office document."""
    return content[30:].startswith(_OFFICE)


def _is_nifti(head: bytes) -> bool:
    """Tell a NIfTI or Analyze header. Source: NIfTI-1 and NIfTI-2, Analyze 7.5: size of it."""
    sizes = tuple(n.to_bytes(4, order) for n in (348, 540) for order in ("little", "big"))
    return head.startswith(sizes) or head[344:348] in (b"n+1\x00", b"ni1\x00")


def _inflated(content: bytes) -> bytes:
    """Return the beginning of what a gzip file holds; nothing if it is damaged."""
    try:
        return zlib.decompressobj(wbits=31).decompress(content[:65_536], PACKED_HEAD_BYTES)
    except zlib.error:
        return b""


def _other(content: bytes) -> Unread | None:
    for offset, magic, found in _BY_MAGIC:
        if content[offset : offset + len(magic)] == magic:
            return found
    return next((told for tell in _TELLERS if (told := tell(content)) is not None), None)


def _archive(content: bytes) -> Unread | None:
    if content.startswith(b"\x1f\x8b"):
        return _packed(_inflated(content))
    if not content.startswith(b"PK\x03\x04"):
        return None
    if is_office(content):
        return _OFFICE_DOCUMENT
    return Unread("a ZIP archive within another", "unpack it")


def _packed(head: bytes) -> Unread:
    """Say what a gzip file is, by the beginning of what it holds."""
    if head[257:262] == b"ustar":
        return _TAR
    if (found := _freesurfer(head)) is not None:
        return found
    if (kind := _text_volume_kind(head)) is not None:
        return Unread(f"a gzip file with {kind} in it", f"unpack it and {TO_VOLUME}", True)
    return Unread("a gzip file that holds no NIfTI volume", "unpack it")


def _icon(content: bytes) -> Unread | None:
    """Tell an icon from voxels that begin alike: the first picture lies behind the table."""
    if not content.startswith(b"\0\0\1\0") or len(content) < 22:
        return None
    count, offset = struct.unpack_from("<4xH12xI", content)
    is_icon = count and content[9] == 0 and offset == 6 + 16 * count
    return Unread("a Windows icon", AS_PNG) if is_icon else None


def _freesurfer(content: bytes) -> Unread | None:
    """Tell a FreeSurfer volume: version 1, four sizes, and one of its types of numbers."""
    if not content.startswith(b"\0\0\0\1") or len(content) < 284:
        return None
    *sizes, kind = struct.unpack_from(">5i", content, 4)
    is_volume = min(sizes) > 0 and kind in (0, 1, 3, 4)
    return Unread("a FreeSurfer volume", "convert it to NIfTI") if is_volume else None


def _plain_picture(content: bytes) -> Unread | None:
    return Unread("a PNM picture", AS_PNG) if content[:3] in _PNM else None


def _metaio(content: bytes) -> Unread | None:
    if not content.startswith(_METAIO):
        return None
    return Unread("a MetaIO file that describes no picture: its header has no DimSize", METAIMAGE)


def _text(content: bytes) -> Unread | None:
    head = content[:1024].removeprefix(codecs.BOM_UTF8).lstrip().lower()
    if head.startswith(_HTML):
        return Unread("an HTML page", "send the picture itself")
    if head.startswith(b"<") and any(word in head for word in _SVG):
        return Unread("an SVG drawing", AS_PNG)
    if head.startswith(b"<"):
        return Unread("XML text")
    if head.startswith(b"data:image/"):
        return Unread("a data URI", "send it in a JSON body, or the bytes that it stands for")
    return TEXT if _is_text(content[:TEXT_HEAD_BYTES]) else None


def _is_text(head: bytes) -> bool:
    """Tell whether bytes are letters: in UTF-8, in UTF-16 that says so, or in a code page."""
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        coding = "utf-16"
    else:
        coding = "utf-8-sig"
    try:
        # The last character may be cut.
        text = codecs.getincrementaldecoder(coding)().decode(head)
    except UnicodeDecodeError:
        text = head.decode("latin-1")
        if sum(each.isascii() for each in text) < ASCII_SHARE * len(text):
            return False
    return bool(text) and all(each.isprintable() or each in "\r\n\t\f\xa0" for each in text)


# In this order: what is written in letters may be one of those before it.
_TELLERS: tuple[Callable[[bytes], Unread | None], ...] = (
    _archive,
    _icon,
    _freesurfer,
    _plain_picture,
    _metaio,
    _text,
)
