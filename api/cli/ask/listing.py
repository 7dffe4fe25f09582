"""Which files of a folder are pictures, told by their first bytes; and names that can be shown."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from segmenter.formats.archive import is_hidden
from segmenter.formats.dicom.objects import kind_without_picture
from segmenter.formats.strays import DICOMDIR, HIDDEN, sniffed, what_is, with_article

HEAD_BYTES = 64 * 1024
# A file that is called a picture and is none is a fault, nothing to pass over.
PICTURE_SUFFIXES = (
    *(".png", ".jpg", ".jpeg", ".tif", ".tiff", ".webp", ".bmp", ".gif", ".dcm"),
    *(".jp2", ".j2k", ".jls", ".jxl", ".heic", ".heif", ".avif"),
)
FORMULA_MARKS = ("=", "+", "-", "@")
FOLDER_LINK = "a link to a folder"
NO_FILE = "no file of bytes"


class Listed(NamedTuple):
    """The files of a folder and below, by name.

    Attributes:
        pictures: paths below the folder.
        skipped: path and what it is, of the others.
    """

    pictures: tuple[Path, ...]
    skipped: tuple[tuple[Path, str], ...]


def list_pictures(folder: Path, *, results: Path) -> Listed:
    """List a folder and the folders in it; links to files are followed, those to folders are not.

    Args:
        folder: what is listed.
        results: a folder that is left out, wherever it lies.

    Raises:
        OSError: the folder itself cannot be read.
    """
    found = list(_below(folder, Path(), results))
    pictures = tuple(path for path, what in found if not what)
    return Listed(pictures, tuple((path, what) for path, what in found if what))


def shown(path: Path) -> str:
    """Write a path so that no terminal or table minds it: on one line, without control codes.

    A program for tables takes what begins with one of `FORMULA_MARKS` for a formula.
    """
    text = os.fsencode(path).decode("utf-8", "backslashreplace")
    text = f"./{text}" if text.startswith(FORMULA_MARKS) else text
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in text
    )


def _below(folder: Path, inside: Path, results: Path) -> Iterator[tuple[Path, str]]:
    """Yield each file with what it is, "" for a picture."""
    for path in sorted((folder / inside).iterdir()):
        name = inside / path.name
        if is_hidden(f"{path.parent.name}/{path.name}"):
            yield name, HIDDEN
        elif not path.is_dir():
            yield name, _what_else(path)
        elif path.is_symlink():
            yield name, FOLDER_LINK
        elif not results.exists() or not path.samefile(results):
            yield from _inside(folder, name, results)


def _inside(folder: Path, name: Path, results: Path) -> Iterator[tuple[Path, str]]:
    try:
        yield from _below(folder, name, results)
    except OSError as error:
        yield name, f"a folder that cannot be read: {error.strerror}"


def _what_else(path: Path) -> str:
    """Say what a file is if it is no picture; one that cannot be read is none to pass over."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            return NO_FILE
        with path.open("rb") as stream:
            head = stream.read(HEAD_BYTES)
    except OSError:
        return ""
    if path.name.upper() == DICOMDIR:
        return DICOMDIR
    kind = sniffed(head)
    if kind == "dicom":
        return kind_without_picture(head) or ""
    if kind is not None or path.suffix.lower() in PICTURE_SUFFIXES:
        return ""
    return with_article(what_is(head))
