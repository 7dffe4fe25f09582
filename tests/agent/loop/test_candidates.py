import pytest

from agent.loop.candidates import to_request
from agent.schemas.plan import Call
from tests.agent.doubles import capabilities, image_ref

OWN = {"polyp": 0.4, "lungs": 0.1}


def call(concept: str, threshold: float | None = None) -> Call:
    return Call(target="t1", concept=concept, threshold=threshold)


@pytest.mark.parametrize(
    ("calls", "asked"),
    [
        ([call("polyp"), call("lungs")], None),
        ([call("polyp", 0.24)], 0.1),
        ([call("polyp", 0.05), call("lungs")], 0.05),
    ],
)
def test_a_round_is_asked_at_the_lowest_threshold_that_any_call_needs(
    calls: list[Call], asked: float | None
) -> None:
    can = capabilities(threshold=0.3, thresholds=OWN)
    assert to_request(calls, image_ref(), can).threshold == asked
