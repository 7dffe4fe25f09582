"""What is wrong with a value that a model wrote, in words that hold nothing of it. Pure."""

from collections.abc import Collection, Iterator

from agent.mllm.json.decode import REPEATED

TWO_ANSWERS = "two answers that differ"


class Misfit(ValueError):
    """A value does not fit what was asked for.

    Attributes:
        where: path of the field in names of ours (``calls[0].target``), "" for the whole.
        needs: what it must be, as said to the model.
        is_other: the value is no answer at all: it has none of the fields.
    """

    def __init__(self, where: str, needs: str, *, is_other: bool = False) -> None:
        super().__init__(where, needs)
        self.where = where
        self.needs = needs
        self.is_other = is_other

    @property
    def reason(self) -> str:
        """What is told in answers and logs."""
        return f"does not fit: {self.where or self.needs}"

    @property
    def advice(self) -> str:
        """What is told to the model."""
        return f"`{self.where}` {self.needs}" if self.where else self.needs


def refuse_repeated(value: object, known: Collection[str]) -> None:
    """Raise `Misfit` if a key anywhere in a value was given two values that differ.

    Args:
        value: decoded JSON.
        known: names that may stand in a path; others are what a model wrote, and are left out.
    """
    path = next(_repeated(value), None)
    if path is None:
        return
    where = ""
    for part in path:
        if isinstance(part, int):
            where += f"[{part}]"
        else:
            where += f".{part}" if part in known else ".…"
    raise Misfit(where.removeprefix("."), "must be given once")


def _repeated(value: object) -> Iterator[tuple[str | int, ...]]:
    if value is REPEATED:
        yield ()
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from ((key, *path) for path in _repeated(inner))
    if isinstance(value, list):
        for place, inner in enumerate(value):
            yield from ((place, *path) for path in _repeated(inner))
