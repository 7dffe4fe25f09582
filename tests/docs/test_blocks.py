import pytest

from tests.docs.blocks import Block, blocks_of, misses

PAGE = """\
```sh
echo one
```

```text
o…
```

<!-- not run: needs a GPU -->
```sh
echo two
```
<!-- installation: evaluate -->
```sh
echo three
```
Words.
```json
{}
```
"""


def test_commands_come_with_their_answer_and_what_they_need() -> None:
    assert blocks_of(PAGE) == [
        Block(1, "echo one\n", None, None, "o…\n"),
        Block(10, "echo two\n", "needs a GPU", None, None),
        Block(14, "echo three\n", None, "evaluate", None),
    ]


@pytest.mark.parametrize(
    ("answer", "printed", "missed"),
    [
        ("a b", "ab\n", None),
        ("a", "ab", "a"),
        ("a…", "abc", None),
        ("…c", "abc", None),
        ("a…c…e", "abcde", None),
        ("a…e…c", "abcde", "c"),
        ("a…bc", "ab", "bc"),
        ("ab…b", "ab", "b"),
        ('{"x": 0.91…, …}', '{"x":0.914,"y":2}', None),
    ],
)
def test_a_shown_answer_may_leave_out_but_not_invent(
    answer: str, printed: str, missed: str | None
) -> None:
    found = misses(answer, printed)
    assert (found is None) == (missed is None)
