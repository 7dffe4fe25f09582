import pytest

from agent.errors import AgentError, InvalidRequest, MllmError, MllmRefused
from segmenter.errors import InputError, InvalidPrompt, SegmenterError, error_class


@pytest.mark.parametrize(
    ("name", "root", "kind"),
    [
        ("InvalidPrompt", SegmenterError, InvalidPrompt),
        ("InputError", InputError, InputError),
        ("InvalidRequest", AgentError, InvalidRequest),
        ("MllmRefused", MllmError, MllmRefused),
        ("InvalidRequest", SegmenterError, None),
        ("InvalidRequest", MllmError, None),
        ("Exception", SegmenterError, None),
        ("error_class", SegmenterError, None),
        ("", SegmenterError, None),
    ],
)
def test_a_name_gives_back_its_class_of_its_own_tree_only(
    name: str, root: type[Exception], kind: type[Exception] | None
) -> None:
    assert error_class(name, root) is kind
