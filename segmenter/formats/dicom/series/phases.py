"""Frames of a series to volumes: positions in the patient times moments. Pure.

Frames at one position with other times are a time sequence; several positions with as many times
each are as many volumes. What is no time but another picture (echo, b-value, magnitude and phase)
is never put into one sequence.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Literal, NamedTuple

from segmenter.errors import InvalidPrompt, MixedFiles
from segmenter.formats.dicom.series.kinds import check_one_kind, kind_order, kinds_of
from segmenter.formats.dicom.series.moments import (
    CLOCKS,
    TIME_KEYS,
    unwrapped,
)
from segmenter.formats.dicom.series.planes import SAME_PLACE_MM, Vector
from segmenter.formats.dicom.series.units import SeriesFrame, place_of

# Files of these have no position in the patient by the standard: several are a clip if they tell
# their order. Source: PS3.3, A.6 to A.32 (IODs without an Image Plane Module).
WITHOUT_POSITIONS = frozenset({"US", "IVUS", "XA", "RF", "ES", "XC", "GM", "OP"})
# SliceLocation is written with few digits.
UNLIKE_LOCATION_MM = 0.1
# Delays within so many milliseconds, and within so small a share of the time of acquisition, are
# those of one phase in many beats; the phases of one beat go through all of it.
BEAT_NOISE_MS, BEAT_NOISE = 100.0, 0.02
# Between frames of a clip, as a share of the mean: beyond it they are told to be uneven.
UNEVEN_TIMES = 0.05


class Volume(NamedTuple):
    """Frames of one sequence, in order.

    Attributes:
        axis: what they go through.
        times_ms: of each frame; None where unknown.
    """

    frames: tuple[SeriesFrame, ...]
    axis: Literal["depth", "time"]
    times_ms: tuple[float | None, ...]


class Volumes(NamedTuple):
    """All sequences of a series.

    Attributes:
        by: names of the attributes that tell them, or the frames of a clip, apart.
    """

    volumes: tuple[Volume, ...]
    by: tuple[str, ...]


def volumes_of(frames: Sequence[SeriesFrame], *, cine: bool) -> Volumes:
    """Sort the frames of one series.

    Args:
        frames: parallel, all with a position or none.
        cine: without positions they are a clip.

    Raises:
        MixedFiles: frames at one place that nothing tells apart, or not as many at each.
    """
    times = _all_times(frames)
    if frames[0].facts.plane is None:
        return _without_positions(frames, times, cine=cine)
    sites = _sites(frames)
    if max(map(len, sites)) == 1:
        check_one_kind(frames)
        in_order = tuple(frame for site in sites for frame in site)
        return Volumes((_volume(in_order, "depth", times, None),), ())
    by, kinds = kinds_of(sites)
    found: list[Volume] = []
    for kind in sorted(set(kinds.values()), key=kind_order):
        parts = [[each for each in site if kinds[id(each)] == kind] for site in sites]
        parts = [part for part in parts if part]
        key = _key(parts, times) if max(map(len, parts)) > 1 else None
        by = (*by, key) if key and key not in by else by
        found += _phases(parts, times, key)
    return Volumes(tuple(found), by)


def choose_volume(volumes: Volumes, asked: int | None) -> tuple[int, Volume]:
    """Return the volume that is meant, and its number from 1; the first if none is asked for.

    Raises:
        InvalidPrompt: there is no such volume.
    """
    count = len(volumes.volumes)
    number = asked or 1
    if number > count:
        there = "is 1 volume" if count == 1 else f"are {count} volumes"
        raise InvalidPrompt(f"there {there} in this series, counted from 1", field="volume")
    return number, volumes.volumes[number - 1]


def frame_rate(times_ms: Sequence[float | None]) -> tuple[float | None, str | None]:
    """Return the mean frames per second, and words where their times are uneven."""
    known = [time for time in times_ms if time is not None]
    if len(known) < max(2, len(times_ms)):
        return None, None
    steps = [later - earlier for earlier, later in pairwise(known)]
    mean = (known[-1] - known[0]) / len(steps)
    if mean <= 0:
        return None, None
    uneven = max(abs(step - mean) for step in steps) > UNEVEN_TIMES * mean
    words = f"frames {min(steps):g} to {max(steps):g} ms apart" if uneven else None
    return 1000.0 / mean, words


_Times = Mapping[int, Mapping[str, tuple[float, ...]]]


def _all_times(frames: Sequence[SeriesFrame]) -> _Times:
    """Return the times of all frames by their identity; clocks count from the first of them."""
    times = {id(frame): dict(frame.facts.moment.times) for frame in frames}
    for name in CLOCKS:
        told = [id(frame) for frame in frames if len(times[id(frame)].get(name, ())) == 1]
        if told:
            straight = unwrapped([times[each][name][0] for each in told])
            start = min(straight)
            for each, time in zip(told, straight, strict=True):
                times[each][name] = (time - start,)
    return times


def _sites(frames: Sequence[SeriesFrame]) -> list[list[SeriesFrame]]:
    """Put frames at one place together, in order along the normal.

    Raises:
        MixedFiles: in one plane, but shifted within it.
    """
    sites: list[list[SeriesFrame]] = []
    for frame in sorted(frames, key=_along):
        if sites and _along(frame) - _along(sites[-1][0]) <= SAME_PLACE_MM:
            here, there = sites[-1][0].facts.plane, frame.facts.plane
            assert here is not None
            assert there is not None
            if abs(here.position - there.position).max() > SAME_PLACE_MM:
                raise MixedFiles(
                    f"{place_of(sites[-1][0])} and {place_of(frame)} lie in one plane at other"
                    f" places: ImagePositionPatient {_numbers(here.position)} and"
                    f" {_numbers(there.position)}; send the files of one series"
                )
            _check_location(sites[-1][0], frame)
            sites[-1].append(frame)
        else:
            sites.append([frame])
    return sites


def _check_location(here: SeriesFrame, there: SeriesFrame) -> None:
    """Refuse slices that say by their location that they are not where their position is."""
    first, second = here.facts.location_mm, there.facts.location_mm
    if first is not None and second is not None and abs(first - second) > UNLIKE_LOCATION_MM:
        raise MixedFiles(
            f"ImagePositionPatient is the same in {place_of(here)} and {place_of(there)}, and"
            f" SliceLocation is not ({first:g} and {second:g} mm): where they are is unknown"
        )


def _along(frame: SeriesFrame) -> float:
    assert frame.facts.plane is not None
    return frame.facts.plane.along


def _numbers(values: Vector) -> str:
    return "\\".join(f"{value:g}" for value in values)


def _key(sites: Sequence[Sequence[SeriesFrame]], times: _Times) -> str:
    """Return the first attribute that tells the frames at each place apart.

    Raises:
        MixedFiles: there is none.
    """
    telling = [
        name
        for name in TIME_KEYS
        if all(_distinct([times[id(frame)].get(name) for frame in site]) for site in sites)
    ]
    if _is_beat_by_beat(sites, times, telling):
        return "AcquisitionTime"
    if telling:
        return telling[0]
    here, there = next(site for site in sites if len(site) > 1)[:2]
    raise MixedFiles(
        f"{place_of(here)} and {place_of(there)} are at the same place, and no time or number"
        " tells them apart: more than one series or phase; send one of them"
    )


def _is_beat_by_beat(
    sites: Sequence[Sequence[SeriesFrame]], times: _Times, telling: Sequence[str]
) -> bool:
    """Tell whether frames are of successive heart beats, each after about the same delay.

    Their trigger times are noise, of which the order means nothing (first-pass perfusion).
    """
    if telling[:1] != ["TriggerTime"] or "AcquisitionTime" not in telling:
        return False
    for site in sites:
        delays, clock = (
            [times[id(frame)][name][0] for frame in site]
            for name in ("TriggerTime", "AcquisitionTime")
        )
        spread = max(delays) - min(delays)
        if spread > BEAT_NOISE_MS or spread > BEAT_NOISE * (max(clock) - min(clock)):
            return False
    return True


def _distinct(values: Sequence[tuple[float, ...] | None]) -> bool:
    return None not in values and len(set(values)) == len(values)


def _phases(sites: Sequence[Sequence[SeriesFrame]], times: _Times, key: str | None) -> list[Volume]:
    """Return the volumes of frames of one kind: as many as there are frames at each place."""
    counts = {len(site) for site in sites}
    if len(counts) > 1:
        raise _incomplete(sites)
    in_time = [
        sorted(site, key=lambda frame: times[id(frame)].get(key, ()) if key else ())
        for site in sites
    ]
    if len(sites) == 1:
        axis: Literal["depth", "time"] = "time" if len(in_time[0]) > 1 else "depth"
        return [_volume(tuple(in_time[0]), axis, times, key)]
    return [_volume(phase, "depth", times, key) for phase in zip(*in_time, strict=True)]


def _incomplete(sites: Sequence[Sequence[SeriesFrame]]) -> MixedFiles:
    most = max(map(len, sites))
    short = [site for site in sites if len(site) < most]
    full = next(site for site in sites if len(site) == most)
    return MixedFiles(
        f"incomplete phases: {len(sites) - len(short)} of {len(sites)} positions have {most}"
        f" frames (as that of {place_of(full[0])}), {len(short)} have fewer (that of"
        f" {place_of(short[0][0])} has {len(short[0])}): two slices at the same place, or some are"
        " missing; send whole phases of one series"
    )


def _without_positions(frames: Sequence[SeriesFrame], times: _Times, *, cine: bool) -> Volumes:
    one_file = len({frame.file.number for frame in frames}) == 1
    if len(frames) == 1 or one_file:
        return Volumes((_volume(tuple(frames), "time" if cine else "depth", times, None),), ())
    modality = frames[0].file.modality
    if modality not in WITHOUT_POSITIONS:
        raise MixedFiles(
            f"{place_of(frames[0])} does not tell its position in the patient"
            " (ImagePositionPatient, ImageOrientationPatient): the order of the slices is unknown;"
            " send one picture at a time"
        )
    key = _key([frames], times)
    in_order = tuple(sorted(frames, key=lambda frame: times[id(frame)].get(key, ())))
    return Volumes((_volume(in_order, "time", times, key),), (key,))


def _volume(
    frames: tuple[SeriesFrame, ...],
    axis: Literal["depth", "time"],
    times: _Times,
    key: str | None,
) -> Volume:
    """Give each frame the time by which it was sorted, else the first one that it tells."""
    known = [name for name, is_time in TIME_KEYS.items() if is_time]
    names = [key] if key is not None and TIME_KEYS[key] else known
    for name in names:
        found = [times[id(frame)].get(name, ()) for frame in frames]
        if all(len(time) == 1 for time in found) and (axis == "depth" or found == sorted(found)):
            return Volume(frames, axis, tuple(round(time[0], 3) for time in found))
    return Volume(frames, axis, (None,) * len(frames))
