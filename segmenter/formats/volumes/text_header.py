"""Lines of headers that are text: numbers and vectors in them, bounded and never a path."""

import re
from typing import NamedTuple

import numpy as np

from segmenter.errors import BrokenImage, UnsupportedImage

# Real headers have some kilobytes; those of diffusion a line for each direction.
MAX_HEADER_BYTES = 256 * 1024
MAX_AXES = 5
VECTOR = re.compile(r"none|\(([^()]*)\)", re.IGNORECASE)


# Millimetres of a unit of length, by all names that writers give it.
MM_OF_UNIT = {
    **dict.fromkeys(("m", "meter", "meters", "metre", "metres"), 1000.0),
    **dict.fromkeys(("cm", "centimeter", "centimeters"), 10.0),
    **dict.fromkeys(("um", "\u00b5m", "\u03bcm", "micron", "microns", "micrometer"), 1e-3),
    **dict.fromkeys(("micrometers", "micrometre", "micrometres"), 1e-3),
    **dict.fromkeys(("nm", "nanometer", "nanometers"), 1e-6),
}


class TypeName(NamedTuple):
    """What a header calls a type: numpy's letter and size."""

    kind: str
    bytes: int

    def dtype(self, *, big_endian: bool) -> np.dtype[np.number]:
        """Return numpy's type."""
        return np.dtype(f"{'>' if big_endian else '<'}{self.kind}{self.bytes}")


def text_lines(content: bytes, last: re.Pattern[bytes], what: str) -> tuple[list[str], int]:
    """Return the lines of a header, and where it ends.

    Args:
        content: of the file.
        last: matches the end of the header, with the line break behind it.
        what: the header is, for the message.

    Raises:
        BrokenImage: it does not end.
    """
    head = content[:MAX_HEADER_BYTES]
    found = last.search(head)
    if found is None:
        if len(content) > MAX_HEADER_BYTES:
            raise BrokenImage(f"the {what} does not end within {MAX_HEADER_BYTES} bytes")
        end = len(content)
    else:
        end = found.end()
    return head[:end].decode("latin-1").splitlines(), end


def whole_numbers(text: str, field: str) -> tuple[int, ...]:
    """Return whole numbers of a line.

    Raises:
        BrokenImage: other words in it.
    """
    try:
        return tuple(int(word) for word in text.split())
    except ValueError:
        raise BrokenImage(f"the field {field!r} is no line of whole numbers") from None


def real_numbers(text: str, field: str) -> tuple[float, ...]:
    """Return numbers of a line; NaN stands where there is none.

    Raises:
        BrokenImage: other words in it.
    """
    try:
        return tuple(float(word) for word in text.replace(",", " ").split())
    except ValueError:
        raise BrokenImage(f"the field {field!r} is no line of numbers") from None


def vectors(text: str, field: str) -> list[tuple[float, ...] | None]:
    """Return the vectors of a line, None where it says ``none``.

    Raises:
        BrokenImage: no such line.
    """
    if VECTOR.sub("", text).strip():
        raise BrokenImage(f"the field {field!r} is no line of vectors")
    return [
        None if found.group(1) is None else real_numbers(found.group(1), field)
        for found in VECTOR.finditer(text)
    ]


def checked_sizes(sizes: tuple[int, ...], axes: int, what: str) -> tuple[int, ...]:
    """Return the sizes of all axes.

    Raises:
        BrokenImage: not one for each.
        UnsupportedImage: no volume.
    """
    if not 3 <= axes <= MAX_AXES:
        raise UnsupportedImage(f"{what} of {axes} dimensions is not read, 3 to {MAX_AXES} are")
    if len(sizes) != axes or min(sizes) < 1:
        raise BrokenImage(f"{what} of {axes} dimensions with {len(sizes)} sizes, or an empty one")
    return sizes


def unit_mm(name: str) -> float:
    """Return the millimetres of a unit, as `text_lines` gives its name; of none, 1."""
    raw = name.strip().encode("latin-1")
    try:
        said = raw.decode("utf-8")
    except UnicodeDecodeError:
        said = raw.decode("latin-1")
    return MM_OF_UNIT.get(said.lower(), 1.0)
