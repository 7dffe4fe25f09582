"""What one part of a request wants. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from agent.language.reading.parts import Part
from agent.language.reading.things import Objects
from agent.language.reading.units import By, Unit
from agent.schemas.intent import Thing
from agent.schemas.intent import Unit as Length

Kind = Literal["find", "act", "ask", "exclude", "subtract", "leave", "talk", "none"]

# Acts and topics of two things: what stands after "with" or "from" is an object as well.
PAIRING = frozenset({"merge", "swap", "subtract", "compare", "ratio", "share", "difference"})
NOUNS = frozenset({"term", "unknown"})


@dataclass
class Wish:
    """What one part wants, and the parts that go on with it.

    Attributes:
        kind: what is wanted.
        acts: names of acts or topics.
        objects: what of.
        minus: what is taken away from it.
        amount: unit that says by how much.
        length: unit of an answer.
        box: unit with the corners.
        postfix: the verb followed its object: "m1 is wrong".
        only: nothing but what is named.
        spoken: the part has a verb of its own.
        is_moot: there is nothing to choose from: what is named is to be found.
        parts: all it was read from.
    """

    kind: Kind
    acts: tuple[str, ...] = ()
    objects: Objects = field(default_factory=Objects)
    minus: tuple[Thing, ...] = ()
    amount: Unit | None = None
    length: Length | None = None
    box: Unit | None = None
    postfix: bool = False
    only: bool = False
    spoken: bool = True
    is_moot: bool = False
    parts: list[Part] = field(default_factory=list)

    def add(self, more: Objects) -> None:
        """Let the wish be about more."""
        self.objects = Objects(
            (*self.objects.things, *more.things),
            self.objects.which if more.which == Objects().which else more.which,
            (*self.objects.masks, *more.masks),
        )


def use(units: Sequence[Unit], by: By | None) -> None:
    """Mark what consumes some units."""
    for unit in units:
        unit.by = by
