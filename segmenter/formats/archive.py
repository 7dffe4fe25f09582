"""Files of a ZIP archive, such as a DICOM series in one upload; bounded while inflating."""

import zipfile
import zlib
from io import BytesIO

from segmenter.errors import BrokenImage, ImageTooLarge, UnsupportedImage
from segmenter.formats.limits import Limits

MAGIC = b"PK\x03\x04"
# An index of files that exporters put beside the slices.
PASSED_OVER = ("DICOMDIR",)
HIDDEN = ("__MACOSX/", ".")


def unzip(content: bytes, limits: Limits) -> list[bytes]:
    """Return the files of an archive, in its order; folders and hidden files are passed over.

    Raises:
        BrokenImage: damaged.
        ImageTooLarge: too many files, or too many bytes when inflated.
        UnsupportedImage: encrypted, or nothing in it.
    """
    try:
        with zipfile.ZipFile(BytesIO(content)) as archive:
            members = [each for each in archive.infolist() if _wanted(each)]
            if len(members) > limits.max_frames:
                raise ImageTooLarge(
                    f"{len(members)} files in the archive, over the limit of {limits.max_frames}"
                )
            files = _read(archive, members, limits)
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, EOFError, OSError):
        raise BrokenImage("this ZIP archive does not inflate: damaged") from None
    if not files:
        raise UnsupportedImage("the ZIP archive holds no file")
    return files


def _wanted(member: zipfile.ZipInfo) -> bool:
    name = member.filename.rsplit("/", 1)[-1]
    hidden = member.filename.startswith(HIDDEN) or name.startswith(".")
    return not (member.is_dir() or hidden or name in PASSED_OVER)


def _read(archive: zipfile.ZipFile, members: list[zipfile.ZipInfo], limits: Limits) -> list[bytes]:
    files, left = [], limits.max_bytes
    for member in members:
        if member.flag_bits & 1:
            raise UnsupportedImage("an encrypted ZIP archive is not read")
        # What the archive declares may be false; reading stops one byte beyond what is left.
        with archive.open(member) as stream:
            file = stream.read(left + 1)
        left -= len(file)
        if left < 0:
            raise ImageTooLarge(f"an archive of more than {limits.max_bytes} bytes when inflated")
        files.append(file)
    return files
