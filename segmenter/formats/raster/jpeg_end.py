"""Tells a JPEG whose picture ends early although its end marker is there.

The decoder goes on with the last colour to the bottom of what the header declares, and says nothing
that Pillow hands on. Such a picture would be looked at as if all of it had been seen.
"""

import hashlib
from collections.abc import Iterator
from io import BytesIO

from PIL import Image

from segmenter.errors import BrokenImage
from segmenter.formats.grey_levels import bands
from segmenter.formats.raster.jpeg_header import scans_of

# A block of coefficients: where a picture ends early, the last one is of one colour.
BLOCK_PX = 8
COEFFICIENTS = BLOCK_PX * BLOCK_PX
SCAN, END = b"\xff\xda", b"\xff\xd9"
# Bits that no picture begins with; without FF, so that they hold no marker.
FILLER = hashlib.sha512(b"filler").digest().replace(b"\xff", b"\xfe")


def with_end(content: bytes) -> bytes:
    """Return a file with an end marker, which some writers leave out."""
    return content if content.rfind(END) > content.rfind(SCAN) else content + END


def check_scans(content: bytes) -> None:
    """Refuse a progressive picture whose last scans are missing: it is shown too coarse.

    Each scan brings some coefficients of some components, or more bits of them. Source: ITU-T T.81,
    G.1.1.1.

    Raises:
        BrokenImage.
    """
    missing: dict[tuple[int, int], int] = {}
    for scan in scans_of(content):
        for component in scan.components:
            missing.setdefault((component, COEFFICIENTS - 1), 1)
            for coefficient in range(scan.first, min(scan.last, COEFFICIENTS - 1) + 1):
                missing[component, coefficient] = scan.bits_left
    components = {component for component, _ in missing}
    whole = len(missing) == len(components) * COEFFICIENTS
    if not whole or any(missing.values()):
        raise BrokenImage("scans of this progressive jpeg image are missing: cut short")


def check_end(content: bytes, image: Image.Image, *, suspect: bool = False) -> None:
    """Refuse a picture that ends before its bottom.

    Where it looks as if it did, and always where it is suspect, it is decoded once more with some
    bytes before its end: they change nothing if the picture is complete, and are taken for its next
    part if it is not.

    Args:
        content: the whole file.
        image: decoded from it, as it is stored.
        suspect: the file came without its end marker.

    Raises:
        BrokenImage.
    """
    end = content.rfind(END)
    if not suspect and (end < 0 or not _ends_flat(image)):
        return
    # Fill bytes before the end would make a marker of what is put behind them.
    pixels = content[:end].rstrip(b"\xff")
    with Image.open(BytesIO(pixels + FILLER + content[end:]), formats=("JPEG",)) as longer:
        same = all(
            first == second for first, second in zip(_rows(image), _rows(longer), strict=True)
        )
    if not same:
        raise BrokenImage(
            f"the pixels of this jpeg image end before the {image.height} rows that its header "
            "declares: cut short"
        )


def _ends_flat(image: Image.Image) -> bool:
    """Tell whether the last block is of one colour, as it is where a picture ends early."""
    left, top = max(image.width - BLOCK_PX, 0), max(image.height - BLOCK_PX, 0)
    extrema = image.crop((left, top, image.width, image.height)).getextrema()
    pairs = extrema if isinstance(extrema[0], tuple) else (extrema,)
    return all(low == high for low, high in pairs)


def _rows(image: Image.Image) -> Iterator[bytes]:
    image.load()
    for rows in bands((image.height, image.width)):
        yield image.crop((0, rows.start, image.width, rows.stop)).tobytes()
