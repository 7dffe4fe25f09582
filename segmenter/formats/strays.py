"""What a file is that is no part of a sequence, told by its first bytes in words of ours."""

from collections.abc import Sequence

from segmenter.errors import UnsupportedImage
from segmenter.formats.archive import Member
from segmenter.formats.frames import SkippedFile
from segmenter.formats.refusals import TEXT, UNKNOWN_FORMAT, refusal, single_picture, unread_format
from segmenter.formats.sniff import DAMAGED_PREFIX, Format, has_damaged_prefix, sniff

EMPTY = "empty file"
UNKNOWN = "content of no format known here"
GZIP = "gzip archive"
HIDDEN = "hidden file"
DICOMDIR = "DICOMDIR"
VOXELS_ALONE = "voxels (.img, .raw) need their header (.hdr, .mhd, .nhdr) beside them"
# A refusal says of so many files what they are.
MAX_TOLD = 5
# How a format is written; others in capitals.
_WRITTEN = {"webp": "WebP", "jpeg2000": "JPEG 2000", "jpeg-ls": "JPEG-LS", "jpeg-xl": "JPEG XL"}
_DOCUMENTS = ("text", "document", "page", "picture", "resource file", "DICOM file")
_SAID = {TEXT: "text", UNKNOWN_FORMAT: UNKNOWN}
# Offset, bytes, what to call it.
_MAGIC: tuple[tuple[int, bytes, str], ...] = (
    (0, b"%PDF", "PDF document"),
    (0, b"PK\x03\x04", "ZIP archive or Office document"),
    (0, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "Windows thumbnail store or old Office document"),
    (0, b"{\\rtf", "text document"),
    (0, b"\x00\x05\x16\x07", "macOS resource file"),
    (0, b"MZ", "Windows program"),
    (0, b"\x7fELF", "program"),
    (0, b"Rar!", "RAR archive"),
    (0, b"7z\xbc\xaf\x27\x1c", "7z archive"),
    (0, b"\x1f\x8b", GZIP),
    (0, b"SQLite format 3\x00", "database"),
    (0, b"<", "XML or HTML text"),
    (0, b"\xef\xbb\xbf<", "XML or HTML text"),
)


def what_is(head: bytes, *, name: str | None = None, hidden: bool = False) -> str:
    """Say what a file is.

    Args:
        head: its first bytes.
        name: of the file, without folders; only DICOMDIR is known by it.
        hidden: see `segmenter.formats.archive.Member`.
    """
    if hidden:
        return HIDDEN
    if name is not None and name.upper() == "DICOMDIR":
        return DICOMDIR
    if not head:
        return EMPTY
    try:
        name = sniff(head)
        return "DICOM file" if name == "dicom" else f"{_WRITTEN.get(name, name.upper())} picture"
    except UnsupportedImage:
        pass
    for offset, magic, said in _MAGIC:
        if head[offset : offset + len(magic)] == magic:
            return said
    found = unread_format(head, "sequence")
    return _SAID.get(found) or found.what.removeprefix("an ").removeprefix("a ")


def is_document(what: str) -> bool:
    """Tell whether a file, by what it is, is one that people or systems read, and no numbers."""
    return what in (EMPTY, HIDDEN, DICOMDIR) or what.endswith(_DOCUMENTS)


def with_article(what: str) -> str:
    """Put an article before what a file is, where it takes one."""
    if what.endswith(("text", UNKNOWN)):
        return what
    return f"{'an' if what[0] in 'aeio' else 'a'} {what}"


def sniffed(head: bytes) -> Format | None:
    """Name the format of a DICOM file or picture by its first bytes; None if it is neither."""
    try:
        return sniff(head)
    except UnsupportedImage:
        return None


def no_sequence(
    members: Sequence[Member], strays: Sequence[SkippedFile], read_here: str, *, archived: bool
) -> str:
    """Say what the files are, none of which is a sequence."""
    if len(members) == 1 and strays[0].what not in (EMPTY, HIDDEN, DICOMDIR):
        words = _no_sequence_alone(members[0].head(), strays[0].what, read_here)
        return f"the ZIP archive holds one file: {words}" if archived else words
    told = "; ".join(f"file {each.file} is {with_article(each.what)}" for each in strays[:MAX_TOLD])
    more = f"; and {len(strays) - MAX_TOLD} more" if len(strays) > MAX_TOLD else ""
    return f"none of the {len(members)} files is a sequence ({told}{more}); {read_here}"


def _no_sequence_alone(head: bytes, what: str, read_here: str) -> str:
    if (name := sniffed(head)) is not None:
        return single_picture(name, head)
    if has_damaged_prefix(head):
        return DAMAGED_PREFIX
    if unread_format(head, "sequence") is not UNKNOWN_FORMAT:
        return refusal(head, "sequence", read_here)
    alone = f"; {VOXELS_ALONE}" if what == UNKNOWN else ""
    return f"this is {with_article(what)}{alone}; {read_here}"
