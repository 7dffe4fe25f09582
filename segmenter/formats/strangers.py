"""What a file is that the route it was sent to does not read, and what to do with it."""

import zlib
from typing import Literal, NamedTuple

from segmenter.formats.clips.containers import clip_kind

# Where the other kind of file is read, for callers of the service and of the command line.
TO_VOLUME = "send it to POST /segment/volume (medsam3 segment FILE --prompt WORDS)"
TO_PICTURE = (
    "send it to POST /segment or POST /agent/segment (medsam3 segment FILE --concept WORDS)"
)
AS_PICTURE = "export the picture in it as PNG or DICOM"
AS_PNG = "export it as PNG or TIFF"
NIFTI_HEADER_BYTES = 540
# Names of folders and files that come first in Office documents. Source: ECMA-376, ODF 1.3.
_OFFICE = (b"[Content_Types].xml", b"word/", b"ppt/", b"xl/", b"_rels/", b"docProps/", b"mimetype")
Route = Literal["picture", "sequence"]


class Stranger(NamedTuple):
    """A kind of file.

    Attributes:
        what: with its article.
        to_do: with it.
        elsewhere: whether another route reads it.
    """

    what: str
    to_do: str | None = None
    elsewhere: bool = False


NOBODY_KNOWS = Stranger("no image format known here")

# Offset, bytes, what it is: formats people do send, named so that they learn why not.
_BY_MAGIC: tuple[tuple[int, bytes, Stranger], ...] = (
    (0, b"%PDF", Stranger("a PDF document", AS_PICTURE)),
    (0, b"{\\rtf", Stranger("an RTF document", AS_PICTURE)),
    (0, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", Stranger("an Office document", AS_PICTURE)),
    (0, b"8BPS", Stranger("a Photoshop document", AS_PNG)),
    (0, b"%!PS", Stranger("PostScript", AS_PNG)),
    (0, b"v/1\x01", Stranger("an OpenEXR picture", AS_PNG)),
    (0, b"II\xbc\x01", Stranger("a JPEG XR picture", AS_PNG)),
    (0, b"\x00\x00\x01\x00", Stranger("a Windows icon", AS_PNG)),
    (0, b"BPG\xfb", Stranger("a BPG picture", AS_PNG)),
    (0, b"FUJIFILMCCD-RAW", Stranger("the raw picture of a camera", AS_PNG)),
    (0, b"IIU\x00", Stranger("the raw picture of a camera", AS_PNG)),
    (0, b"IIRO", Stranger("the raw picture of a camera", AS_PNG)),
    (0, b"SIMPLE  =", Stranger("a FITS picture", AS_PNG)),
    (0, b"ZISRAWFILE", Stranger("a Zeiss CZI file", "export it as OME-TIFF")),
    (0, b"\xda\xce\xbe\x0a", Stranger("a Nikon ND2 file", "export it as OME-TIFF")),
    (0, b"\x89HDF\r\n", Stranger("an HDF5 or MINC file", "convert it to NIfTI")),
    (0, b"MATLAB 5.0", Stranger("a MATLAB file", "save the picture in it as PNG or NIfTI")),
    (0, b"\x93NUMPY", Stranger("a NumPy array", "save it as PNG or NIfTI")),
    (0, b"BZh", Stranger("a bzip2 file", "unpack it")),
    (0, b"\xfd7zXZ\x00", Stranger("an xz file", "unpack it")),
    (0, b"7z\xbc\xaf\x27\x1c", Stranger("a 7-Zip archive", "send its files, or a ZIP archive")),
    (0, b"Rar!\x1a\x07", Stranger("a RAR archive", "send its files, or a ZIP archive")),
    (257, b"ustar", Stranger("a tar archive", "send its files, or a ZIP archive")),
    (0, b"ID3", Stranger("a sound file")),
    (8, b"WAVE", Stranger("a sound file")),
    (0, b"fLaC", Stranger("a sound file")),
)
_PNM = {f"P{number}".encode() + end for number in range(1, 8) for end in (b"\n", b" ", b"\r")}
_SVG, _HTML = (b"<svg", b":svg"), (b"<!doctype html", b"<html")


def stranger(content: bytes, route: Route) -> Stranger:
    """Say what a file is, by its content, that a route does not read."""
    return _sequence(content, route) or _other(content) or NOBODY_KNOWS


def refusal(content: bytes, route: Route, read_here: str) -> str:
    """Return the words that refuse a file.

    Args:
        content: of the file.
        route: that refuses.
        read_here: the sentence that lists what that route reads.
    """
    found = stranger(content, route)
    words = f"this is {found.what}"
    if found.to_do is not None:
        words = f"{words}: {found.to_do}"
    return words if found.elsewhere else f"{words}; {read_here}"


def single_picture(kind: str) -> str:
    """Return the words that refuse a single picture where a sequence is read."""
    return f"this is a single picture ({kind}): {TO_PICTURE}"


def _sequence(content: bytes, route: Route) -> Stranger | None:
    """Recognise what only the route of volumes and clips reads."""
    what = _volume_kind(content)
    if what is None and (kind := clip_kind(content)) is not None:
        what = kind.what
    if what is None or route == "sequence":
        return None
    return Stranger(what, TO_VOLUME, elsewhere=True)


def _volume_kind(content: bytes) -> str | None:
    if content.startswith(b"PK\x03\x04"):
        return None if content[30:].startswith(_OFFICE) else "a ZIP archive"
    if content.startswith(b"NRRD000"):
        return "an NRRD volume"
    if content.startswith((b"ObjectType", b"NDims")):
        return "a MetaImage volume"
    packed = content.startswith(b"\x1f\x8b")
    head = _inflated(content) if packed else content[:NIFTI_HEADER_BYTES]
    return "a NIfTI volume" if _is_nifti(head) else None


def _is_nifti(head: bytes) -> bool:
    """Tell a NIfTI or Analyze header. Source: NIfTI-1 and NIfTI-2, Analyze 7.5: size of it."""
    sizes = tuple(n.to_bytes(4, order) for n in (348, 540) for order in ("little", "big"))
    return head.startswith(sizes) or head[344:348] in (b"n+1\x00", b"ni1\x00")


def _inflated(content: bytes) -> bytes:
    """Return the beginning of what a gzip file holds; nothing if it is damaged."""
    try:
        return zlib.decompressobj(wbits=31).decompress(content[:65_536], NIFTI_HEADER_BYTES)
    except zlib.error:
        return b""


def _other(content: bytes) -> Stranger | None:
    for offset, magic, found in _BY_MAGIC:
        if content[offset : offset + len(magic)] == magic:
            return found
    if content.startswith(b"PK\x03\x04"):
        return Stranger("an Office document", AS_PICTURE)
    if content.startswith(b"\x1f\x8b"):
        return Stranger("a gzip file that holds no NIfTI volume", "unpack it")
    if content[:3] in _PNM:
        return Stranger("a PNM picture", AS_PNG)
    return _text(content)


def _text(content: bytes) -> Stranger | None:
    head = content[:1024].removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if not head.startswith(b"<"):
        return None
    if head.startswith(_HTML):
        return Stranger("an HTML page", "send the picture itself")
    if any(word in head for word in _SVG):
        return Stranger("an SVG drawing", AS_PNG)
    return Stranger("XML text")
