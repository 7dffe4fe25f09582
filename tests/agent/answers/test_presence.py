from agent.schemas.rounds import Status
from tests.agent.answers.scenes import (
    BAR,
    RIGHT_BAR,
    UNKNOWN_SPACING,
    findings,
    result,
    shown,
    tell,
    thing,
)
from tests.agent.doubles import square

POLYP = thing("polyp", "polyp")


def test_what_was_found_is_told_with_area_and_score_and_no_diagnosis() -> None:
    found = findings(result("polyp", shown("m1", BAR), shown("m2", RIGHT_BAR, joint=0.6)))
    assert tell(found, "presence", find=(POLYP,)) == (
        "Yes, found polyp: 2 masks, area 400 px together (sum of the masks), score 0.90 of the"
        f" best; an outline by a model, not a diagnosis. {UNKNOWN_SPACING}"
    )


def test_what_was_not_found_is_not_ruled_out() -> None:
    found = findings(result("polyp", status=Status.NOT_FOUND, reason="looked and found none"))
    assert tell(found, "presence", find=(POLYP,)) == (
        "No, looked for polyp and found none; that does not rule it out."
    )


def test_an_uncertain_find_is_neither_yes_nor_no() -> None:
    reason = "the mask is of middling quality"
    found = findings(result("polyp", shown("m1", BAR), status=Status.UNCERTAIN, reason=reason))
    assert tell(found, "presence", find=(POLYP,)) == (
        f"Uncertain whether there is polyp ({reason}): 1 mask,"
        f" area 200 px, score 0.90; an outline by a model, not a diagnosis. {UNKNOWN_SPACING}"
    )


def test_what_cannot_be_looked_for_is_not_said_to_be_absent() -> None:
    reason = "this model cannot look for 'gallstone'"
    found = findings(result("gallstone", status=Status.UNCERTAIN, reason=reason))
    answer = tell(found, "presence", find=(thing("gallstone", "gallstone"),))
    assert answer == f"Cannot tell whether there is gallstone: {reason}."


def test_what_was_not_looked_for_is_not_said_to_be_absent() -> None:
    found = findings(result("polyp", shown("m1", BAR)), requests=("is there a gallstone?",))
    answer = tell(found, "presence", things=(thing("gallstone", "gallstone"),))
    assert answer == "Cannot tell whether there is gallstone: it was not looked for."


def test_masks_are_counted_or_the_pieces_of_the_only_one() -> None:
    found = findings(result("nuclei", shown("m1", BAR, "nuclei"), shown("m2", RIGHT_BAR, "nuclei")))
    assert tell(found, "count") == "nuclei: 2 counted, one mask each."
    three = BAR | RIGHT_BAR | square(0, 50, 5, 55)
    assert tell(findings(result("nuclei", shown("m1", three, "nuclei"))), "count") == (
        "nuclei: 3 counted, as separate pieces of mask m1; those that touch count as one."
    )


def test_none_is_counted_only_of_what_was_looked_for() -> None:
    found = findings(result("polyp", status=Status.NOT_FOUND, reason="none"))
    assert tell(found, "count", find=(POLYP,)) == "polyp: none, looked for and not found."
    unsure = findings(result("polyp", status=Status.UNCERTAIN, reason="its absence is not sure"))
    answer = tell(unsure, "count", find=(POLYP,))
    assert answer == (
        "polyp: not outlined (its absence is not sure), so there is nothing to measure."
    )


def test_a_part_of_the_pieces_of_a_mask_is_counted() -> None:
    three = BAR | RIGHT_BAR | square(0, 50, 5, 55)
    found = findings(result("nuclei", shown("m1", three, "nuclei")))
    upper = thing("nuclei", "nuclei", place="top")
    assert tell(found, "count", things=(upper,)) == (
        "nuclei in the top half: 2 counted, as separate pieces of mask m1; those that touch count"
        " as one."
    )
    smallest = thing("nuclei", "nuclei", rank="smallest")
    assert tell(found, "area", things=(smallest,)).startswith("nuclei (part of m1): area 25 px.")
