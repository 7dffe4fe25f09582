import pytest

from agent.policy.calls import CallLimits, limits_after
from agent.policy.outcome import RunSummary, absence_votes, end_run, end_target
from agent.schemas.plan import Call, Plan
from agent.schemas.rounds import Failure, Inspection, Issue, Round, Status, Verdict
from segmenter.contract import Capabilities
from tests.agent.doubles import capabilities, image_ref, plan_for, target

POLYP = target()
TEXT = Call(target="t1", concept="polyp")
FAINT = Call(target="t1", concept="polyp", threshold=0.3)


def round_(
    number: int,
    *calls: Call,
    found: tuple[str, ...] = (),
    word: str = "reject",
    issue: Issue = Issue.WRONG_STRUCTURE,
    presence: float = 0.1,
    known: bool = True,
    planner: str = "gemini",
    next_: str = "segment",
) -> Round:
    by = "rules" if planner == "rules" else "mllm"
    verdicts = [
        Verdict.model_validate({"candidate": one, "verdict": word, "issue": issue, "by": by})
        for one in found
    ]
    return Round(
        number=number,
        calls=calls,
        candidates=found,
        reasons=("",) * len(calls),
        inspection=Inspection.model_validate({"verdicts": verdicts, "next": next_}),
        planner=planner,
        presence=(presence,) * len(calls),
        known=(known,) * len(calls),
    )


def run(
    *rounds: Round,
    plan: Plan | None = None,
    failure: Failure | None = None,
    fallbacks: tuple[str, ...] = (),
    can: Capabilities | None = None,
) -> RunSummary:
    verdicts = {v.candidate: v for one in rounds for v in one.inspection.verdicts}
    found = [name for one in rounds for name in one.candidates]
    return RunSummary(
        plan=plan or plan_for(POLYP),
        rounds=rounds,
        incumbents={"t1": (found[0],)} if found else {},
        verdicts=verdicts,
        owners=dict.fromkeys(found, "t1"),
        limits=limits_after(CallLimits(image_ref(), can or capabilities(), ()), rounds),
        failure=failure,
        fallbacks=fallbacks,
    )


@pytest.mark.parametrize(
    ("seen", "votes"),
    [
        (run(round_(1, TEXT)), 0),
        (run(round_(1, TEXT, next_="absent")), 1),
        (run(round_(1, TEXT), round_(2, FAINT)), 1),
        (run(round_(1, TEXT), round_(2, FAINT, next_="absent")), 2),
        (run(round_(1, TEXT, found=("m1",)), round_(2, FAINT, found=("m2",))), 1),
        (
            run(round_(1, TEXT, found=("m1",)), round_(2, FAINT, found=("m2",), next_="absent")),
            2,
        ),
        (run(round_(1, TEXT), plan=plan_for(POLYP, decision="absent")), 1),
        (run(plan=plan_for(POLYP, decision="absent")), 0),
        (run(round_(1, TEXT, known=False), round_(2, FAINT, known=False)), 0),
        (run(round_(1, TEXT, planner="rules"), round_(2, FAINT, planner="rules")), 2),
        (
            run(
                round_(1, TEXT, planner="rules", presence=0.6),
                round_(2, FAINT, planner="rules", presence=0.6),
            ),
            1,
        ),
    ],
    ids=[
        "nothing yet",
        "only the planner",
        "only the search",
        "planner and search",
        "only two rejected rounds",
        "planner and two rejected rounds",
        "planner at first",
        "planner without a call",
        "a concept the model cannot look for",
        "rules, low presence",
        "rules, presence in between",
    ],
)
def test_absence_is_counted_in_voices(seen: RunSummary, votes: int) -> None:
    assert absence_votes(POLYP, seen) == votes


@pytest.mark.parametrize(
    ("seen", "status", "masks"),
    [
        (run(round_(1, TEXT, found=("m1",), word="accept", issue=Issue.NONE)), "found", ("m1",)),
        (run(round_(1, TEXT, found=("m1",), word="partial", issue=Issue.LEAK)), "found", ("m1",)),
        (
            run(round_(1, TEXT, found=("m1",), word="partial", planner="rules")),
            "uncertain",
            ("m1",),
        ),
        (run(round_(1, TEXT, found=("m1",))), "uncertain", ("m1",)),
        (run(round_(1, TEXT), round_(2, FAINT, next_="absent")), "not_found", ()),
        (run(round_(1, TEXT, next_="absent")), "uncertain", ()),
        (run(failure=Failure(kind="JobFailed", message="it failed")), "failed", ()),
        (
            run(
                round_(1, TEXT, found=("m1",)),
                failure=Failure(kind="JobFailed", message="it failed"),
            ),
            "uncertain",
            ("m1",),
        ),
    ],
)
def test_a_target_ends_in_one_of_four_ways(
    seen: RunSummary, status: str, masks: tuple[str, ...]
) -> None:
    ended = end_target(POLYP, seen)
    assert (ended.status, ended.masks) == (status, masks)


def test_a_failure_is_never_an_absence() -> None:
    seen = run(
        round_(1, TEXT, next_="absent"), failure=Failure(kind="JobFailed", message="it failed")
    )
    assert end_target(POLYP, seen).status is Status.FAILED


def test_a_concept_the_model_cannot_look_for_is_uncertain_and_says_what_it_knows() -> None:
    ended = end_target(
        POLYP, run(round_(1, TEXT, known=False), can=capabilities(concepts=("cup",)))
    )
    assert ended.status is Status.UNCERTAIN
    assert ended.reason == "this model cannot look for 'polyp'; it knows: cup"


ACCEPTED = round_(1, TEXT, found=("m1",), word="accept", issue=Issue.NONE)


@pytest.mark.parametrize(
    ("seen", "review"),
    [
        (run(ACCEPTED), False),
        (run(ACCEPTED, fallbacks=("inspect 1: failed",)), True),
        (run(round_(1, TEXT, found=("m1",), word="partial")), True),
        (run(round_(1, TEXT), round_(2, FAINT, next_="absent")), False),
        (run(round_(1, TEXT, planner="rules"), round_(2, FAINT, planner="rules")), True),
        (run(round_(1, TEXT, found=("m1",))), True),
    ],
    ids=["found", "rules stood in", "partial", "absent", "absent by one model", "rejected"],
)
def test_a_person_is_asked_to_look_whenever_there_is_doubt(seen: RunSummary, review: bool) -> None:
    assert end_run([POLYP], [], seen).needs_review is review


def test_a_run_is_found_if_any_target_is() -> None:
    cup = target("optic cup", id="t2")
    outcome = end_run([POLYP, cup], [], run(ACCEPTED, plan=plan_for(POLYP, cup)))
    assert outcome.status is Status.FOUND
    assert outcome.needs_review
    assert outcome.message == (
        "polyp: found, 1 mask. optic cup: uncertain ('optic cup' was not looked for)."
    )
