"""Writes numbers with their units: three significant digits, pixel counts whole. Pure."""

import math
from collections.abc import Iterable

from agent.schemas.intent import Unit
from segmenter.contract import Length

SIGNIFICANT = 3
MM_PER_CM = 10.0


def number(value: float) -> str:
    """Return three significant digits: 84.2, 0.0512, 1230."""
    if value == 0.0:
        return "0"
    digits = SIGNIFICANT - 1 - math.floor(math.log10(abs(value)))
    # 99.96 has one digit more once it is rounded.
    rounded = round(value, digits)
    digits = SIGNIFICANT - 1 - math.floor(math.log10(abs(rounded)))
    return f"{rounded:.{max(digits, 0)}f}"


def ratio(value: float) -> str:
    """Return two decimals, or three significant digits of what is smaller than that shows."""
    return number(value) if value < 0.1 or value >= 100.0 else f"{value:.2f}"


def percent(share: float) -> str:
    """Return a share, [0, 1], in percent."""
    return f"{number(100.0 * share)} %"


def length(value: Length, unit: Unit | None = None) -> str:
    """Return a length in px, and first in mm (or cm, if asked) where the spacing is known."""
    px = f"{number(value.px)} px"
    return _both(px, _metric(value.mm, MM_PER_CM, "", unit), unit)


def area(px: int, mm2: float | None, unit: Unit | None = None) -> str:
    """Return an area as a count of pixels, and first in mm² (or cm²) where spacing is known."""
    return _both(f"{px} px", _metric(mm2, MM_PER_CM**2, "²", unit), unit)


def listed(parts: Iterable[str]) -> str:
    """Join parts as a sentence does: "a, b and c"."""
    *first, last = parts
    return f"{', '.join(first)} and {last}" if first else last


def _metric(mm: float | None, per_cm: float, power: str, unit: Unit | None) -> str | None:
    if mm is None:
        return None
    if unit == "cm":
        return f"{number(mm / per_cm)} cm{power}"
    return f"{number(mm)} mm{power}"


def _both(px: str, metric: str | None, unit: Unit | None) -> str:
    if metric is None:
        return px
    return f"{px} ({metric})" if unit == "px" else f"{metric} ({px})"
