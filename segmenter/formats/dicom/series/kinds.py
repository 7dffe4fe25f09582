"""Pictures of one place that are no times of each other: echoes, b-values, phase. Pure."""

from collections.abc import Sequence

from segmenter.errors import MixedFiles
from segmenter.formats.dicom.series.moments import KIND_NAMES, MAY_VARY, OF_A_VOLUME
from segmenter.formats.dicom.series.units import SeriesFrame, place_of


def check_one_kind(frames: Sequence[SeriesFrame]) -> None:
    """Refuse slices of two kinds that lie between each other.

    Raises:
        MixedFiles.
    """
    for index, name in enumerate(KIND_NAMES):
        first = frames[0]
        if name not in OF_A_VOLUME:
            continue
        for other in frames:
            here, there = first.facts.moment.kinds[index], other.facts.moment.kinds[index]
            if here != there:
                raise MixedFiles(
                    f"{name} differs between the slices, in {place_of(first)} and in"
                    f" {place_of(other)}: two kinds of pictures; send the files of one"
                )


Kind = tuple[tuple[str, ...] | None, ...]


def kinds_of(sites: Sequence[Sequence[SeriesFrame]]) -> tuple[tuple[str, ...], dict[int, Kind]]:
    """Return the attributes by which frames at each place are other pictures, and their values.

    Raises:
        MixedFiles: at some places only.
    """
    used: list[int] = []
    for index, name in enumerate(KIND_NAMES):
        at = [{frame.facts.moment.kinds[index] for frame in site} for site in sites]
        # What is one at each place tells nothing apart there: a slice may have its own echo time.
        alike = len(set.union(*at)) == 1 or name not in OF_A_VOLUME
        if max(map(len, at)) == 1 and alike:
            continue
        if all(each == at[0] for each in at):
            used.append(index)
        elif name not in MAY_VARY:
            raise MixedFiles(
                f"{name} differs at some positions only: two kinds of pictures, one of them"
                " incomplete; send whole volumes of one kind"
            )
    kinds = {
        id(frame): tuple(frame.facts.moment.kinds[index] for index in used)
        for site in sites
        for frame in site
    }
    return tuple(KIND_NAMES[index] for index in used), kinds


def kind_order(kind: Kind) -> tuple[tuple[object, ...], ...]:
    """Return what sorts kinds: numbers as numbers, then texts; what is not told comes first."""
    return tuple(_part_order(part) for part in kind)


def _part_order(part: object) -> tuple[object, ...]:
    if not isinstance(part, tuple):
        return ()
    return tuple((0, float(each), "") if _is_number(each) else (1, 0.0, each) for each in part)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
