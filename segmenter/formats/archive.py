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
# An index of files that exporters put beside the slices.
PASSED_OVER = ("DICOMDIR",)
HIDDEN = ("__MACOSX/", ".")


# Reads one file of an upload.
ReadFile = Callable[[], bytes]


class Member(NamedTuple):
    """A file of an upload: its bytes, and how to read them."""

    size: int
    read: ReadFile


def members(content: bytes, limits: Limits) -> list[Member]:
    """Return the files of an archive, in its order; each is inflated when it is read.

    Folders and hidden files are passed over.

    Raises:
        BrokenImage: damaged; reading a file raises it too.
        ImageTooLarge: too many files, or too many bytes when inflated.
        UnsupportedImage: encrypted, or nothing in it.
    """
    with _inflating():
        # Stays open: it reads from memory.
        archive = zipfile.ZipFile(BytesIO(content))
        found = [each for each in archive.infolist() if _wanted(each)]
    if len(found) > limits.max_frames:
        raise ImageTooLarge(
            f"{len(found)} files in the archive, over the limit of {limits.max_frames}"
        )
    # What the archive declares may be false, but no reader gives more than that.
    if sum(each.file_size for each in found) > limits.max_bytes:
        raise ImageTooLarge(f"an archive of more than {limits.max_bytes} bytes when inflated")
    if any(each.flag_bits & 1 for each in found):
        raise UnsupportedImage("an encrypted ZIP archive is not read")
    if not found:
        raise UnsupportedImage("the ZIP archive holds no file")
    return [Member(each.file_size, partial(_read, archive, each)) for each in found]


def _wanted(member: zipfile.ZipInfo) -> bool:
    name = member.filename.rsplit("/", 1)[-1]
    hidden = member.filename.startswith(HIDDEN) or name.startswith(".")
    return not (member.is_dir() or hidden or name in PASSED_OVER)


def _read(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    with _inflating(), archive.open(member) as stream:
        # One byte more, so that the end is seen and with it the checksum.
        return stream.read(member.file_size + 1)


@contextmanager
def _inflating() -> Iterator[None]:
    try:
        yield
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, EOFError, OSError):
        raise BrokenImage("this ZIP archive does not inflate: damaged") from None
