"""What can go wrong while SAM 3 weights are loaded; a wrong tensor never passes silently."""

from collections.abc import Iterable

# A wrong checkpoint differs in hundreds of names; the first ones tell which kind it is.
NAMES_SHOWN = 8


class WeightsError(ValueError):
    """The weights cannot be used: not there, of another format, or not of this model."""


def listed(names: Iterable[str]) -> str:
    """Return the first names of many, sorted, and how many more there are."""
    ordered = sorted(names)
    rest = len(ordered) - NAMES_SHOWN
    return ", ".join(ordered[:NAMES_SHOWN]) + (f" and {rest} more" if rest > 0 else "")
