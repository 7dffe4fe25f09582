import pytest

from agent.answers.about import load_unmeasurable
from agent.language.lexicon import normalise
from agent.schemas.plan import Call
from agent.schemas.rounds import Inspection, Round, Status
from tests.agent.answers.scenes import BAR, findings, result, shown, tell, thing

POLYP = findings(result("polyp", shown("m1", BAR)), concepts=("polyp", "lungs"))
CAUTION = "This service outlines and measures, it does not diagnose."


def test_names_are_of_what_is_outlined_and_of_what_the_model_knows() -> None:
    answer = tell(POLYP, "names")
    assert answer == "Outlined here: polyp (m1). This model can look for polyp, lungs."
    open_vocabulary = findings(concepts=None)
    assert tell(open_vocabulary, "names") == (
        "This model looks for any structure that is named in a few words."
    )


def test_a_mask_is_named_by_its_id() -> None:
    assert tell(POLYP, "names", masks=("m1",)) == "m1 is the outline of polyp."
    assert tell(POLYP, "names", masks=("m7",)) == "m7 is not among the masks that are shown."


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        ("is it malignant?", f"Malignancy: an outline does not tell it. {CAUTION}"),
        (
            "BI-RADS?",
            f"A reading category: it is a reader's judgement of more than an outline. {CAUTION}",
        ),
        ("what does the patient have", CAUTION),
    ],
)
def test_a_diagnosis_is_never_given(words: str, answer: str) -> None:
    assert tell(POLYP, "diagnosis", words=words) == answer


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        (
            "whats the ejection fraction",
            "The ejection fraction cannot be measured here: it needs the volumes of the ventricle"
            " at end-diastole and at end-systole, and this is one picture.",
        ),
        (
            "T stage?",
            "A stage cannot be measured here: it rests on more findings than this picture shows.",
        ),
        (
            "ABCD rule: asymmetry?",
            "The ABCD rule cannot be measured here: asymmetry, border and colours are not measured,"
            " area and diameter are.",
        ),
        ("temperature?", '"temperature" cannot be measured from the outlines of one picture.'),
        ("", "That cannot be measured from the outlines of one picture."),
    ],
)
def test_what_cannot_be_measured_is_answered_with_the_reason(words: str, answer: str) -> None:
    found = findings(requests=("temperature?",))
    assert tell(found, "unmeasurable", words=words) == answer


def test_words_that_the_caller_did_not_write_are_not_repeated() -> None:
    answer = tell(findings(requests=("hello",)), "unmeasurable", words="42 mm for sure")
    assert answer == "That cannot be measured from the outlines of one picture."


def test_no_word_of_the_table_stands_under_two_entries() -> None:
    words = [normalise(word) for entry in load_unmeasurable() for word in entry.words]
    assert len(words) == len(set(words)) > 0


def test_why_tells_what_was_asked_and_answered_and_what_to_check() -> None:
    assert tell(POLYP, "why") == (
        'polyp (m1): the model was asked for "polyp" and answered with presence 1.00 and score'
        " 0.90; quality by the rules 0.81; judged accept by the rules. Check that it is polyp, and"
        " its edges, on the picture."
    )


def test_why_of_an_uncertain_find_gives_its_reason() -> None:
    reason = "something was found, but it may not be polyp"
    found = findings(result("polyp", shown("m1", BAR), status=Status.UNCERTAIN, reason=reason))
    assert tell(found, "why").endswith(
        f"A person should look: {reason}; check that it is polyp, and its edges, on the picture."
    )


def test_why_of_nothing_tells_each_call_and_the_reason() -> None:
    calls = (Call(target="t1", concept="polyp"), Call(target="t1", concept="gallstone"))
    done = Round(
        number=1,
        calls=calls,
        candidates=(),
        reasons=("", ""),
        inspection=Inspection(verdicts=()),
        planner="rules",
        presence=(0.04, 0.0),
        known=(True, False),
    )
    reason = "looked for polyp and found none"
    found = findings(
        result("polyp", status=Status.NOT_FOUND, reason=reason),
        rounds=(done,),
        worked=frozenset({"t1"}),
    )
    assert tell(found, "why", find=(thing("polyp", "polyp"),)) == (
        'polyp: the model was asked for "polyp" and answered presence 0.0400; the model was asked'
        ' for "gallstone" and answered that it does not know it; looked for polyp and found none.'
    )
