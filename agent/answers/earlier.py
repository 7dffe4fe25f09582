"""Remembers what stood for each target before it changed. Pure."""

from collections.abc import Iterable

from agent.schemas.runs import EarlierResult, TargetResult, ThreadRecord


def earlier_results(
    thread: ThreadRecord, targets: Iterable[TargetResult]
) -> tuple[EarlierResult, ...]:
    """Return what stood before for the targets that a run shows.

    Args:
        thread: as it was before the run.
        targets: as the run shows them.
    """
    stood = {result.target.id: _summary(result) for result in thread.targets}
    known = {earlier.target: earlier for earlier in thread.earlier}
    shown = [_summary(result) for result in targets]
    changed = {one.target: stood[one.target] for one in shown if _differs(one, stood)}
    before = known | changed
    return tuple(before[one.target] for one in shown if one.target in before)


def _differs(now: EarlierResult, stood: dict[str, EarlierResult]) -> bool:
    return now.target in stood and set(stood[now.target].masks) != set(now.masks)


def _summary(result: TargetResult) -> EarlierResult:
    candidates = [mask.candidate for mask in result.masks]
    return EarlierResult(
        target=result.target.id,
        masks=tuple(candidate.id for candidate in candidates),
        area_px=sum(candidate.mask.area_px for candidate in candidates),
    )
