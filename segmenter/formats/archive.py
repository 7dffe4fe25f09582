"""Files of a ZIP archive, such as a DICOM series in one upload; inflated one by one."""

import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from io import BytesIO
from typing import NamedTuple

from segmenter.errors import BrokenImage, ImageTooLarge, UnsupportedImage
from segmenter.formats.limits import Limits

MAGIC = b"PK\x03\x04"
COMPRESSIONS = (
    zipfile.ZIP_STORED,
    zipfile.ZIP_DEFLATED,
    zipfile.ZIP_BZIP2,
    zipfile.ZIP_LZMA,
)
# Enough of a file to tell what it is: magic numbers, and the header inside a small gzip.
HEAD_BYTES = 16 * 1024
# Names of files that nobody asks about are cut.
MAX_NAME_CHARS = 128
# Systems put them beside what a person packs.
_RESOURCES = "__MACOSX"

# Reads one file of an upload; the first so many bytes of it.
ReadFile = Callable[[], bytes]
ReadHead = Callable[[], bytes]


class Member(NamedTuple):
    """A file of an upload.

    Attributes:
        number: in the order sent or of the archive, from 1; folders do not count.
        size: bytes.
        read: returns all of it.
        head: returns `HEAD_BYTES` of it.
        name: without folders; None if it has none here.
        hidden: a file that systems make and people do not see.
    """

    number: int
    size: int
    read: ReadFile
    head: ReadHead
    name: str | None = None
    hidden: bool = False


def member_of(number: int, content: bytes) -> Member:
    """Return a file that lies in memory."""
    return Member(number, len(content), partial(bytes, content), lambda: content[:HEAD_BYTES])


def is_hidden(path: str) -> bool:
    """Tell whether a path is of a file that systems make, by the name of it or of a folder."""
    parts = path.replace("\\", "/").split("/")
    return parts[-1].startswith(".") or _RESOURCES in parts[:-1]


def members(content: bytes, limits: Limits) -> list[Member]:
    """Return the files of an archive, in its order; each is inflated when it is read.

    Raises:
        BrokenImage: damaged; reading a file raises it too.
        ImageTooLarge: too many files, or too many bytes when inflated.
        UnsupportedImage: encrypted, compressed otherwise than is read, or nothing in it.
    """
    with _inflating():
        # Stays open: it reads from memory.
        archive = zipfile.ZipFile(BytesIO(content))
        found = [each for each in archive.infolist() if not each.is_dir()]
    shown = sum(not is_hidden(each.filename) for each in found)
    # Of hidden files there is one for each other at most.
    if max(shown, len(found) - shown) > limits.max_frames:
        raise ImageTooLarge(f"{shown} files in the archive, over the limit of {limits.max_frames}")
    # What the archive declares may be false, but no reader gives more than that.
    if sum(each.file_size for each in found) > limits.max_bytes:
        raise ImageTooLarge(f"an archive of more than {limits.max_bytes} bytes when inflated")
    if any(each.flag_bits & 1 for each in found):
        raise UnsupportedImage("an encrypted ZIP archive is not read: send it without a password")
    if any(each.compress_type not in COMPRESSIONS for each in found):
        raise UnsupportedImage(
            "a file in the ZIP archive is compressed by a method that is not read: make the archive"
            " anew with Deflate, or send the files"
        )
    if not shown:
        raise UnsupportedImage("the ZIP archive holds no file")
    return [_member(archive, each, number) for number, each in enumerate(found, 1)]


def _member(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, number: int) -> Member:
    return Member(
        number,
        entry.file_size,
        partial(_read, archive, entry, entry.file_size),
        partial(_read, archive, entry, HEAD_BYTES),
        base_name(entry.filename),
        is_hidden(entry.filename),
    )


def base_name(path: str) -> str:
    """Return the name of a file without its folders and control characters, cut to a length."""
    name = path.replace("\\", "/").rsplit("/", 1)[-1]
    return "".join(each for each in name if each.isprintable())[:MAX_NAME_CHARS]


def _read(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, size: int) -> bytes:
    with _inflating(), archive.open(entry) as stream:
        # One byte more, so that the end is seen and with it the checksum.
        return stream.read(size + 1)


@contextmanager
def _inflating() -> Iterator[None]:
    try:
        yield
    except NotImplementedError:
        # Strong encryption, patches, or a version to come: nothing is damaged.
        raise UnsupportedImage(
            "this ZIP archive is made in a way that is not read: make it anew with Deflate, or send"
            " the files"
        ) from None
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError):
        raise BrokenImage("this ZIP archive does not inflate: damaged") from None
