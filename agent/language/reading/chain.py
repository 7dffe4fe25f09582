"""Goes through the parts of a request and joins those that share a verb. Pure."""

from collections.abc import Sequence

from agent.language.grammar import Grammar
from agent.language.lexicon import Lexicon
from agent.language.reading.editing import by_number
from agent.language.reading.parts import Part
from agent.language.reading.things import MODIFIERS, Objects, read_objects
from agent.language.reading.units import Unit
from agent.language.reading.verbs import read_verb
from agent.language.reading.wishes import Wish, use
from agent.schemas.intent import ANY, EDITS, Thing, Which

_LISTING = frozenset({"and", "comma"})
_DONE = frozenset({"act", "exclude", "subtract"})
_CHANGING = EDITS | {"accept", "wrong"}
_OF_MASKS = _CHANGING | {"keep", "drop"}
_LIMITING = frozenset({"not", "but", "except"})
_ENDING = frozenset({"exclude", "subtract", "leave"})
_SAYING = frozenset({"term", "acts", "find", "ids", "unknown", "topics", "unsupported", "corners"})


class Chain:
    """The wishes of a request, in its order."""

    def __init__(self, parts: Sequence[Part], grammar: Grammar, lexicon: Lexicon) -> None:
        """Take the parts; `read` goes through them."""
        self._parts = parts
        self._grammar = grammar
        self._lexicon = lexicon
        self._waiting: list[tuple[Part, Objects]] = []
        self._ordered = any(part.asked and part.has("find", "acts") for part in parts)
        self._saying = sum(part.has(*_SAYING) for part in parts)
        self._naming = sum(part.has("term") for part in parts)
        self._finding = sum(part.has("find") and part.has("term") for part in parts)
        self.wishes: list[Wish] = []

    def read(self) -> list[Wish]:
        """Return the wishes; what they consume is marked in the units."""
        for at, part in enumerate(self._parts):
            shared = self._shared_noun(at)
            wish = read_verb(part, self._implied(part))
            if wish is None:
                self._read_bare(at, part, shared)
                continue
            if wish.kind == "ask":
                self._find_parts_of(wish, part)
            if shared is not None and not wish.objects.things:
                wish.objects = Objects((shared,), masks=wish.objects.masks)
            wish = self._done(at, wish, part)
            if not self._keeps_rest(wish, part) and not self._spares(wish, part):
                self.wishes.append(wish)
            for waiting, objects in self._waiting:
                wish.parts.append(waiting)
                wish.objects = Objects(
                    (*objects.things, *wish.objects.things),
                    wish.objects.which,
                    (*objects.masks, *wish.objects.masks),
                )
            self._waiting = []
        return self.wishes

    def _implied(self, part: Part) -> list[Thing]:
        labels = [
            label
            for unit in part.of("topics")
            if unit.words in self._grammar.implied
            for label in self._grammar.implied[unit.words].of
        ]
        return [Thing(words=label, terms=(label,)) for label in labels]

    def _done(self, at: int, wish: Wish, part: Part) -> Wish:
        """Return the wish, or none where it would change a mask that may be to stay."""
        lost = [part]
        if self._limits_edit(wish, part):
            lost += self.wishes[-1].parts
            self.wishes[-1].kind = "none"
        elif wish.kind not in _DONE or not self._is_conditional(at):
            return wish
        for one in lost:
            use(one.units, None)
        return Wish("none", parts=[part])

    def _find_parts_of(self, wish: Wish, part: Part) -> None:
        """Read what a share is of: "how much of the lung is affected?"."""
        whole = {label for thing in wish.objects.things for label in thing.terms}
        for unit in part.units:
            said = self._grammar.implied.get(unit.words)
            if said is None or said.within is None or said.topic not in wish.acts:
                continue
            if said.within in whole:
                inner = tuple(Thing(words=label, terms=(label,)) for label in said.of)
                wish.objects = Objects((*inner, *wish.objects.things))
                unit.by = "question"
            else:
                unit.by = None

    def _is_conditional(self, at: int) -> bool:
        """Tell whether a mask would be changed on a condition: "if it is small, remove it"."""
        while at and not self._parts[at].first and not self._parts[at].has("conditions"):
            at -= 1
        return self._parts[at].has("conditions")

    def _keeps_rest(self, wish: Wish, part: Part) -> bool:
        """Tell whether a wish is done with the one before: "drop the cup, keep the rest"."""
        done = part.has("rest") and wish.objects.is_empty and wish.acts in (("keep",), ("drop",))
        acts = [other for other in self.wishes if other.kind == "act"]
        if done and acts:
            acts[-1].parts.append(part)
        return done and bool(acts)

    def _limits_edit(self, wish: Wish, part: Part) -> bool:
        """Tell whether something is to stay as it is: "grow it except at the top"."""
        last = self.wishes[-1] if self.wishes else None
        if last is None or last.kind != "act" or not _CHANGING.intersection(last.acts):
            return False
        is_bound = part.joint == "negation" or part.units[0].words[0] in _LIMITING
        return wish.kind in ("exclude", "subtract") and is_bound and not part.first

    def _spares(self, wish: Wish, part: Part) -> bool:
        """Read "drop all polyps except the largest" as what is kept."""
        last = self.wishes[-1] if self.wishes else None
        is_spared = wish.kind in ("exclude", "subtract") and part.joint == "negation"
        if not is_spared or last is None or last.acts not in (("drop",), ("clear",)):
            return False
        spared = wish.objects
        if not spared.things and not spared.masks:
            things = [one.model_copy(update={"which": spared.which}) for one in last.objects.things]
            spared = Objects(tuple(things), spared.which if not things else ANY)
        last.acts, last.objects = ("keep",), spared
        last.parts.append(part)
        return True

    def _read_bare(self, at: int, part: Part, shared: Thing | None) -> None:
        """Read a part without a verb: more of the same, a thing to find, or a choice."""
        if self._asks_nothing(part):
            return
        last = self.wishes[-1] if self.wishes else None
        objects = read_objects(part, part.units, unknown=self._may_be_unknown(part, last))
        if shared is not None and not objects.things:
            objects = Objects((shared,))
        if objects.is_empty:
            _more_of(part, last)
        elif objects.things or objects.masks:
            self._more_objects(at, part, objects, last)
        else:
            self._choice(part, objects.which, last)

    def _asks_nothing(self, part: Part) -> bool:
        """Read a history, small talk and orders that mean nothing here."""
        if self._is_history(part):
            for unit in part.units:
                if unit.kind in ("term", *MODIFIERS):
                    unit.by = "context"
            return True
        if part.has("talk") and not part.has("term", "ids"):
            self._talk(part)
            return True
        if _is_strange_order(part):
            for unit in part.units:
                unit.by = None
            return True
        return False

    def _talk(self, part: Part) -> None:
        talk = part.of("talk")
        for unit in talk:
            unit.by = "talk"
        self.wishes.append(Wish("talk", tuple(unit.value for unit in talk), parts=[part]))

    def _is_history(self, part: Part) -> bool:
        """Tell whether a structure is part of a history: "palpable lump R breast. Outline ..."."""
        told = any(unit.kind == "context" for unit in part.units)
        return told and part.has("term") and self._finding > 0

    def _may_be_unknown(self, part: Part, last: Wish | None) -> bool:
        """Tell whether a noun the lexicon does not hold may be a thing to find."""
        strange = next((at for at, unit in enumerate(part.units) if unit.kind == "unknown"), 0)
        if not all(_may_stand_before_noun(unit) for unit in part.units[:strange]):
            return False
        if self._saying == part.has(*_SAYING):
            return True
        return part.joint in _LISTING and last is not None and last.kind == "find"

    def _more_objects(self, at: int, part: Part, objects: Objects, last: Wish | None) -> None:
        if self._waits(at, part, last):
            self._waiting.append((part, objects))
            return
        joins = last is not None and part.joint in _LISTING
        joins = joins and not (part.joint == "comma" and last is not None and last.kind in _ENDING)
        joins = joins and last is not None and last.kind not in ("talk", "none")
        if joins and last is not None and (not last.postfix or objects.masks):
            last.add(objects)
            last.parts.append(part)
            return
        if objects.masks:
            for unit in part.units:
                unit.by = None
            return
        if part.asked and not self._ordered and not part.has("polite"):
            self.wishes.append(Wish("ask", ("presence",), objects, postfix=True, parts=[part]))
            return
        self.wishes.append(Wish("find", ("find",), objects, spoken=False, parts=[part]))

    def _waits(self, at: int, part: Part, last: Wish | None) -> bool:
        """Tell whether the verb follows with the next part: "m2 and m3 can go"."""
        after = self._parts[at + 1] if at + 1 < len(self._parts) else None
        if after is None or after.joint not in _LISTING:
            return False
        if after.joint == "comma" or (part.joint in _LISTING and last and not last.postfix):
            return False
        kinds = [unit.kind for unit in after.units if unit.kind in (*_SAYING, "comparatives")]
        follows = kinds[1:2] and kinds[1] in ("acts", "topics", "comparatives")
        return bool(kinds and kinds[0] in ("term", "ids") and follows)

    def _choice(self, part: Part, which: Which, last: Wish | None) -> None:
        """Read "kidney, right side of the picture" and "the left one"."""
        if last is not None and last.objects.things and part.joint in _LISTING:
            *first, thing = last.objects.things
            thing = thing.model_copy(update={"which": _joined(thing.which, which)})
            last.objects = Objects((*first, thing), masks=last.objects.masks)
            last.parts.append(part)
            return
        if _is_chosen(last) and last is not None and part.joint in _LISTING:
            self._choose_more(part, which, last)
            return
        if self._naming:
            use(part.of(*MODIFIERS), None)
            return
        chosen = which.model_copy(update={"several": False})
        if part.asked and chosen != ANY:
            use(part.of(*MODIFIERS), "question")
            self.wishes.append(Wish("ask", ("compare",), Objects(which=which), parts=[part]))
            return
        if chosen == ANY or part.has("unknown", "unsupported"):
            use(part.of("numbers", "unsupported"), None)
            return
        self.wishes.append(Wish("act", ("keep",), Objects(which=which), parts=[part]))

    def _choose_more(self, part: Part, which: Which, last: Wish) -> None:
        """Read "delete the first and the third"; two orders at once are not understood."""
        more = by_number(part, Objects(which=which))
        last.parts.append(part)
        if more.masks:
            last.add(more)
            return
        last.kind = "none"
        for one in last.parts:
            use(one.units, None)

    def _shared_noun(self, at: int) -> Thing | None:
        """Return the thing that "left" means in "left and right ventricle"."""
        part = self._parts[at]
        after = self._parts[at + 1] if at + 1 < len(self._parts) else None
        if after is None or after.joint != "and" or part.has("term", "ids", "pronouns"):
            return None
        modifiers = part.of("sides", "places")
        terms = after.of("term")
        if not modifiers or not terms or after.has("find", "acts"):
            return None
        if after.units[0].kind not in ("sides", "places", "term", "function"):
            return None
        noun = terms[0]
        if after.units[0] is noun and noun.words[0] not in ("left", "right"):
            return None
        modifier = modifiers[-1]
        for words in ((modifier.words[-1], *noun.words), (modifier.words[-1], *noun.words[1:])):
            composed = self._lexicon.terms_of(words)
            if composed:
                modifier.by = "thing"
                terms_ = tuple(term.label for term in composed)
                return Thing(words=" ".join(words), terms=terms_)
        if after.units[0] is noun:
            return None
        which = read_objects(part, part.units).which
        named = tuple(term.label for term in noun.terms)
        return Thing(words=" ".join(noun.words), terms=named, which=which)


def _is_chosen(last: Wish | None) -> bool:
    return last is not None and last.kind == "act" and bool(_OF_MASKS.intersection(last.acts))


def _is_strange_order(part: Part) -> bool:
    """Tell whether a part begins with a verb that means nothing here: "zoom in on the cup"."""
    said = [unit for unit in part.units if unit.kind not in ("function", "polite", "also")]
    if not said or not part.has("term", "ids") or said[0].kind not in ("unsupported", "unknown"):
        return False
    after = part.units[part.units.index(said[0]) + 1].kind
    return after in ("function", "several", "ids") or (
        said[0].kind == "unsupported" and after not in ("term", "descriptions")
    )


def _may_stand_before_noun(unit: Unit) -> bool:
    return "determiners" in unit.roles or unit.kind in ("descriptions", "polite", *MODIFIERS)


def _joined(first: Which, second: Which) -> Which:
    said = {name: value for name, value in second if value != getattr(ANY, name)}
    return first.model_copy(update=said)


def _more_of(part: Part, last: Wish | None) -> None:
    """Read an amount or a unit that stands by itself: "perimeter of the lesion, mm"."""
    if last is None:
        return
    last.parts.append(part)
    for unit in part.of("units", "amount"):
        if last.kind == "ask" and last.length is None:
            last.length = unit.value  # type: ignore[assignment]
            unit.by = "question"
        elif unit.kind == "amount" and last.acts in (("grow",), ("shrink",)) and not last.amount:
            last.amount, unit.by = unit, "operation"
    _ignore_rest(part, last)


def _ignore_rest(part: Part, last: Wish) -> None:
    for unit in part.of("rest"):
        if last.kind == "act":
            unit.by = "operation"


def say_not_understood(parts: Sequence[Part]) -> None:
    """Let small words that belong to what was not understood go with it: "like a star"."""
    for part in parts:
        lost = [at for at, unit in enumerate(part.units) if unit.by is None]
        if not lost:
            continue
        done = any(unit.by not in (None, "function", "context") for unit in part.units)
        start = lost[0]
        while start and _is_small(part.units[start - 1]):
            start -= 1
        first = start if done else 0
        for unit in part.units[first : lost[-1] + 1]:
            unit.by = None if _is_small(unit) or not done else unit.by
        if not done:
            for unit in part.units:
                unit.by = None


def _is_small(unit: Unit) -> bool:
    return unit.by == "function" and unit.kind not in ("polite", "joins", "also", "asks")
