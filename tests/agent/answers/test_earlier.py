from datetime import UTC, datetime

from agent.answers.earlier import earlier_results
from agent.schemas.runs import EarlierResult, TargetResult, ThreadRecord
from tests.agent.answers.scenes import BAR, RIGHT_BAR, result, shown
from tests.agent.doubles import image_ref, square

BEFORE = result("polyp", shown("m1", BAR), shown("m2", RIGHT_BAR))
STOOD = EarlierResult(target="t1", masks=("m1", "m2"), area_px=400)


def thread(*targets: TargetResult, earlier: tuple[EarlierResult, ...] = ()) -> ThreadRecord:
    return ThreadRecord(
        id="thr_1",
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
        image=image_ref(),
        targets=targets,
        earlier=earlier,
    )


def test_what_stood_before_a_change_is_remembered() -> None:
    after = result("polyp", shown("m3", square(0, 0, 3, 3)))
    assert earlier_results(thread(BEFORE), [after]) == (STOOD,)


def test_a_run_that_changes_nothing_keeps_what_stood_before_the_last_change() -> None:
    now = result("polyp", shown("m3", BAR))
    assert earlier_results(thread(now, earlier=(STOOD,)), [now]) == (STOOD,)


def test_a_new_target_has_nothing_before_it() -> None:
    new = result("lungs", shown("m3", BAR, "lungs"), key="t2")
    assert earlier_results(thread(BEFORE), [new]) == ()


def test_what_is_gone_is_forgotten() -> None:
    assert earlier_results(thread(BEFORE, earlier=(STOOD,)), []) == ()
