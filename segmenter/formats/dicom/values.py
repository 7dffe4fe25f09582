"""Lenient reading of single DICOM values, of plain headers and of enhanced ones."""

import math

from pydicom.dataset import Dataset
from pydicom.errors import BytesLengthException
from pydicom.multival import MultiValue

# Of pydicom's own on damaged values, beside Python's; for `guarded`.
PYDICOM_ERRORS = (BytesLengthException,)
_GROUPS = ("PerFrameFunctionalGroupsSequence", "SharedFunctionalGroupsSequence")


def numbers(holder: Dataset, keyword: str) -> tuple[float, ...]:
    """Return the finite values of an attribute; none if it is missing or no number."""
    try:
        value = holder.get(keyword)
        if value is None:
            return ()
        values = value if isinstance(value, MultiValue | list) else (value,)
        floats = tuple(float(each) for each in values)
    except (TypeError, ValueError, OverflowError):
        return ()
    return floats if all(math.isfinite(each) for each in floats) else ()


def is_stated(holder: Dataset, keyword: str) -> bool:
    """Tell whether an attribute has a value, be it one that cannot be read."""
    try:
        value = holder.get(keyword)
    except (TypeError, ValueError, OverflowError):
        return True
    return value is not None and str(value).strip("\0 ") != ""


def of_frame(header: Dataset, sequence: str, keyword: str, index: int = 0) -> Dataset:
    """Return what holds an attribute for a frame, counted from 0; the header if nothing does.

    Enhanced objects keep per-frame and shared attributes in sequences, which come before the
    attributes of the object (PS3.3, C.7.6.16).
    """
    for group, place in zip(_GROUPS, (index, 0), strict=True):
        for frame in _items(header, group)[place : place + 1]:
            for item in _items(frame, sequence)[:1]:
                if keyword in item:
                    return item
    return header


def _items(holder: Dataset, sequence: str) -> list[Dataset]:
    return list(holder.get(sequence) or ())
