"""When a frame was taken, and what else tells frames at one place apart. Pure.

Source: PS3.3, C.7.6.16 (multi-frame), C.7.6.5 (Cine), C.8.3 and C.8.13 (MR), C.8.9 (PET).
"""

import re
from collections.abc import Mapping, Sequence
from datetime import date
from typing import NamedTuple

from pydicom.dataset import Dataset

from segmenter.formats.dicom.values import numbers

_DAY_MS = 86_400_000.0
# With colons as ACR-NEMA wrote it. Source: PS3.5, 6.2 (TM).
_TIME = re.compile(r"(\d{2}):?(\d{2})?:?(\d{2})?(\.\d{1,6})?")
_DATE_TIME = re.compile(r"(\d{4})(\d{2})(\d{2})(\d{2})(\d{2})?(\d{2})?(\.\d{1,6})?([+-]\d{4})?")

# By what frames at one place are put in order, the first that tells all apart; and whether it is
# a time in milliseconds.
TIME_KEYS: Mapping[str, bool] = {
    "TriggerTime": True,
    "FrameTime": True,
    "FrameReferenceTime": True,
    "AcquisitionTime": True,
    "TemporalPositionIndex": False,
    "ContentTime": True,
    "AcquisitionNumber": False,
    "DimensionIndexValues": False,
    "InstanceNumber": False,
    "place in the file": False,
}
# Of these the first of a sequence is called 0; the others count from an event or a frame.
CLOCKS = frozenset({"AcquisitionTime", "ContentTime", "FrameReferenceTime"})

_KINDS = (
    ("ImageType", ("FrameType", "ImageType")),
    ("ComplexImageComponent", ("ComplexImageComponent",)),
    ("EchoTime", ("EffectiveEchoTime", "EchoTime")),
    ("EchoNumbers", ("EchoNumbers",)),
    ("DiffusionBValue", ("DiffusionBValue",)),
    ("DiffusionGradientOrientation", ("DiffusionGradientOrientation",)),
    ("SequenceName", ("SequenceName",)),
)
# Written with noise, or by slice: where they differ by place they say nothing about kinds.
MAY_VARY = frozenset({"DiffusionGradientOrientation", "SequenceName"})
# The same in all slices of one volume.
OF_A_VOLUME = frozenset({"ComplexImageComponent", "EchoNumbers", "DiffusionBValue"})
KIND_NAMES = tuple(name for name, _ in _KINDS)


# Of nuclear medicine: frames of one view that follow each other. Source: PS3.3, C.8.4.9.1.1.
MOVING_NUCLEAR = frozenset({"DYNAMIC", "GATED"})


class Moment(NamedTuple):
    """What tells a frame from others at its place.

    Attributes:
        times: of `TIME_KEYS` those that are known: milliseconds, numbers, or tuples of them.
        kinds: one for each of `KIND_NAMES`, None where the file does not say.
    """

    times: Mapping[str, tuple[float, ...]]
    kinds: tuple[tuple[str, ...] | None, ...]


def read_moment(view: Dataset, frame: int, frames: int) -> Moment:
    """Return what the attributes of a frame say.

    Args:
        view: attributes of the frame.
        frame: its number in its file, from 0.
        frames: number of frames of the file.
    """
    found: dict[str, tuple[float, ...]] = {}
    for name, value in _times(view, frame, frames).items():
        if value:
            found[name] = value
    return Moment(found, tuple(_kind(view, keywords) for _, keywords in _KINDS))


def frame_times(header: Dataset, frames: int) -> tuple[float, ...]:
    """Return when each frame of a cine comes, milliseconds after the first; none if unknown."""
    steps = numbers(header, "FrameTimeVector")
    if len(steps) == frames:
        times, now = [], 0.0
        for step in (0.0, *steps[1:]):
            now += step
            times.append(now)
        return tuple(times)
    even = numbers(header, "FrameTime")
    return tuple(even[0] * index for index in range(frames)) if even and even[0] > 0 else ()


def stated_fps(header: Dataset) -> float | None:
    """Return frames per second where no frame has a time of its own."""
    for keyword in ("CineRate", "RecommendedDisplayFrameRate"):
        rate = numbers(header, keyword)
        if rate and rate[0] > 0:
            return rate[0]
    return None


def unwrapped(times: Sequence[float]) -> list[float]:
    """Return times of day, milliseconds, so that they go on over midnight."""
    low, high = min(times), max(times)
    if high - low <= _DAY_MS / 2 or high >= _DAY_MS:
        return list(times)
    return [each + _DAY_MS if each < _DAY_MS / 2 else each for each in times]


def _times(view: Dataset, frame: int, frames: int) -> dict[str, tuple[float, ...]]:
    cine = frame_times(view, frames) if frames > 1 else ()
    offset = numbers(view, "TemporalPositionTimeOffset")
    return {
        "TriggerTime": numbers(view, "NominalCardiacTriggerDelayTime")
        or numbers(view, "TriggerTime")
        if frames == 1 or "NominalCardiacTriggerDelayTime" in view
        else (),
        "FrameTime": cine[frame : frame + 1] or tuple(1000.0 * each for each in offset),
        "FrameReferenceTime": numbers(view, "FrameReferenceTime") if frames == 1 else (),
        "AcquisitionTime": _clock(view, ("FrameReferenceDateTime", "FrameAcquisitionDateTime"), ())
        or (_clock(view, ("AcquisitionDateTime",), ("AcquisitionTime",)) if frames == 1 else ()),
        "TemporalPositionIndex": numbers(view, "TemporalPositionIndex")
        or numbers(view, "TemporalPositionIdentifier"),
        "ContentTime": _clock(view, (), ("ContentTime",)) if frames == 1 else (),
        "AcquisitionNumber": numbers(view, "FrameAcquisitionNumber")
        or numbers(view, "AcquisitionNumber"),
        "DimensionIndexValues": numbers(view, "DimensionIndexValues"),
        "InstanceNumber": numbers(view, "InstanceNumber") if frames == 1 else (),
        "place in the file": (float(frame),) if frames > 1 else (),
    }


def _clock(view: Dataset, date_times: Sequence[str], times: Sequence[str]) -> tuple[float, ...]:
    """Return milliseconds of the first attribute that tells them."""
    for keyword in date_times:
        found = _DATE_TIME.match(str(view.get(keyword) or "").strip())
        if found:
            try:
                day = date(*map(int, found.groups()[:3])).toordinal()
            except ValueError:
                continue
            return (day * _DAY_MS + _of_day(found.groups()[3:7]),)
    for keyword in times:
        found = _TIME.match(str(view.get(keyword) or "").strip())
        if found:
            return (_of_day(found.groups()),)
    return ()


def _of_day(parts: Sequence[str | None]) -> float:
    hours, minutes, seconds, fraction = (float(part or 0.0) for part in parts)
    return ((hours * 60 + minutes) * 60 + seconds + fraction) * 1000.0


def _kind(view: Dataset, keywords: Sequence[str]) -> tuple[str, ...] | None:
    for keyword in keywords:
        holder = view
        if keyword == "DiffusionGradientOrientation" and keyword not in view:
            directions = view.get("DiffusionGradientDirectionSequence")
            holder = directions[0] if directions else view
        value = holder.get(keyword)
        if value is None or value == "":
            continue
        several = not isinstance(value, str) and hasattr(value, "__iter__")
        return tuple(str(each) for each in (value if several else (value,)))
    return None
