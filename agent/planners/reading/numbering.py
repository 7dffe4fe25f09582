"""Which target a call means: by name, or by number from 1, or from 0 where that is clear. Pure."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from agent.mllm.json.misfit import Misfit
from agent.planners.reading.fields import fields_of, fold, is_none
from agent.planners.reading.wordings import TARGET_FIELDS

_NUMBER = re.compile(r"(?:t|targets?|no|number|nr|#)?[\s._#:-]*(\d{1,3})(?:\.0+)?", re.IGNORECASE)
NEEDS = "must be the number of one of the targets, counting from 1"


@dataclass(frozen=True)
class Numbering:
    """How an answer counts its targets.

    Attributes:
        labels: of the targets, in their order.
        ids: the names that the answer itself gave them, folded; empty if it gave none.
        first: the number of the first.
    """

    labels: tuple[str, ...]
    ids: tuple[str, ...] = ()
    first: int = 1

    def place_of(self, value: object, where: str) -> int:
        """Return the place of the target that a value means, from 0.

        Raises:
            Misfit: none, or more than one.
        """
        if isinstance(value, list) and len(value) == 1:
            return self.place_of(value[0], where)
        if isinstance(value, dict):
            known = fields_of(value, TARGET_FIELDS, where).known
            value = known.get("id", known.get("label"))
        if is_none(value):
            places = list(range(len(self.labels)))
        elif str(value).casefold() in self.ids:
            places = [self.ids.index(str(value).casefold())]
        elif (number := number_of(value)) is not None:
            places = [place for place in range(len(self.labels)) if place + self.first == number]
        else:
            places = self._called(value)
        if len(places) != 1:
            raise Misfit(where, NEEDS)
        return places[0]

    def names_another(self, concept: object, place: int) -> bool:
        """Tell whether a call's concept is the label of another target than its own."""
        labels = list(map(fold, self.labels))
        said = fold(concept) if isinstance(concept, str) else ""
        return said in labels and said != labels[place]

    def _called(self, value: object) -> list[int]:
        """Return the places of targets with that label; else of those that hold it or are in it."""
        said = fold(value) if isinstance(value, str) else ""
        names = list(map(fold, self.labels))
        same = [place for place, name in enumerate(names) if name == said]
        near = [
            place for place, name in enumerate(names) if said and (said in name or name in said)
        ]
        return same or near


def number_of(value: object) -> int | None:
    """Return the number that a value is or says ("2", 2.0, "t2", "target 2"), None for none."""
    if type(value) not in {int, float, str}:
        return None
    match = _NUMBER.fullmatch(str(value).strip()[:40])
    return None if match is None else int(match[1])


def to_numbering(
    labels: Sequence[str], references: Iterable[object], ids: Sequence[object] = ()
) -> Numbering:
    """Return how an answer counts, by all the numbers it refers to targets with.

    They count from 0 if 0 is among them and the number of the last target is not.

    Args:
        labels: of the targets.
        references: what all its calls refer to.
        ids: the numbers or names that it gave its targets itself.
    """
    own = tuple(str(name).casefold() for name in ids)
    given = own if len(set(own)) == len(labels) else ()
    numbers = [number for each in references if (number := number_of(each)) is not None]
    from_zero = 0 in numbers and max(numbers) < len(labels)
    return Numbering(tuple(labels), given, 0 if from_zero else 1)
