import pytest

from tests.docs.request_way import AGENT, PAGE, SEGMENT, Step, Trace, Way, filled, way_of, ways

# A run is accepted in steps of its own before anything is done for it.
LONGEST = {SEGMENT: 40, AGENT: 40}
ROUTE, READER, DECODE = Step("ask", "a/b.py"), Step("read", "c/d.py"), Step("decode", "c/e.py")
LEAF, PRIVATE = Step("size", "c/e.py"), Step("Reader._open", "c/d.py")
LOOP, ANSWER = Step("Worker.run", "f/g.py"), Step("Worker.answer", "f/g.py")


@pytest.fixture(scope="module")
def found() -> dict[str, Way]:
    return ways()


def test_the_page_shows_the_ways_that_requests_take(found: dict[str, Way]) -> None:
    page = PAGE.read_text("utf-8")
    assert filled(page, found) == page, "write it anew: python -m tests.docs.request_way"


def test_a_request_can_be_followed(found: dict[str, Way]) -> None:
    for path, way in found.items():
        assert 10 < len(way.steps) <= LONGEST[path]


def test_a_step_comes_into_a_folder_and_does_more_than_a_helper() -> None:
    callers = {ROUTE: None, READER: ROUTE, PRIVATE: READER, DECODE: READER, LEAF: DECODE}
    calling = {ROUTE, READER, PRIVATE, DECODE}
    way = way_of(Trace({**callers, ANSWER: LOOP}, calling | {LOOP}), idle={LOOP})
    assert way.steps == [ROUTE, READER, ANSWER]
    assert way.in_files == [ROUTE, READER, DECODE, ANSWER]


def test_what_runs_while_nobody_asks_is_no_step() -> None:
    trace = Trace({LOOP: None, ROUTE: None, READER: ROUTE}, {LOOP, ROUTE})
    assert way_of(trace, idle={LOOP}).steps == [ROUTE, READER]


def test_a_second_way_leaves_out_what_the_first_shows() -> None:
    first = Way([ROUTE, READER], [ROUTE, READER, DECODE])
    second = Way([ANSWER, READER], [ANSWER, DECODE, READER])
    assert second.without(first) == Way([ANSWER, READER], [ANSWER, READER])
