"""What every reader returns, and the window a caller may ask for."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from segmenter.contract import PixelValues, RgbImage, Spacing

IDENTITY = "identity"


class Window(NamedTuple):
    """Grey window in the file's own units (Hounsfield for CT): `center` and `width`, width > 0."""

    center: float
    width: float


@dataclass(frozen=True)
class DecodedImage:
    """One upright picture.

    Attributes:
        pixels: uint8, shape (H, W, 3), RGB, C-contiguous.
        format: what the content is, for example ``png`` or ``dicom``.
        modality: DICOM modality code, or None.
        spacing: physical pixel size of the upright picture, or None.
        rendering: the named rules that turned stored values into uint8, joined by ``; ``.
        may_show_name: see `segmenter.contract.ImageRef`.
        region: see there.
    """

    pixels: RgbImage
    format: str
    modality: str | None = None
    spacing: Spacing | None = None
    rendering: str = IDENTITY
    may_show_name: bool = False
    region: tuple[int, int, int, int] | None = None


class Undecoded(NamedTuple):
    """A picture whose header was read and checked.

    Attributes:
        working_bytes: memory that decoding it takes at its peak, the picture itself and further
            copies of the file included; the file as it came is not.
        decode: decodes it; raises what the reader raises.
        values: reads what the file stores of a grey picture that is windowed to be shown; raises
            the same. None where the shown pixels are what is stored.
    """

    working_bytes: int
    decode: Callable[[], DecodedImage]
    values: Callable[[], PixelValues] | None = None


def join_rules(*rules: str | None) -> str:
    """Name the rules that changed values, or ``identity`` if none did."""
    named = [rule for rule in rules if rule and rule != IDENTITY]
    return "; ".join(named) or IDENTITY
