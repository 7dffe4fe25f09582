"""Reads what a part of a request asks to be told. Pure."""

from collections.abc import Sequence
from typing import cast

from agent.language.reading.parts import Part
from agent.language.reading.things import MODIFIERS, Objects, limits_number, read_objects
from agent.language.reading.units import Unit
from agent.language.reading.wishes import PAIRING, Wish, use
from agent.schemas.intent import Thing, Topic
from agent.schemas.intent import Unit as Length

# Answered by any other topic of the same part, the first one first.
_GENERIC: tuple[Topic, ...] = ("names", "presence", "place", "size", "share")


def read_topics(part: Part) -> Wish | None:
    """Read a part with a word for what it asks: "how big is it?"."""
    topics = _topics(part)
    if not topics:
        return None
    acts = part.of("acts")
    first = part.units.index(topics[0])
    if acts and not part.is_question:
        # Words of measures are what these change: "increase the size".
        return None
    used = part.of("topics", "acts", "find", "asks", "only", "mild", "sources")
    use([*used, *part.of("negations", "units", "rest", "margin", "box")], "question")
    named = _named_topics(topics)
    pairs = bool(PAIRING & set(named))
    objects = read_objects(part, part.units, pairs=pairs, unknown=_asks_of_unknown(part))
    objects.things = tuple(map(_uncounted, objects.things))
    if "count" in named:
        # "How many are round?" is not answered by how many there are.
        use(part.of("descriptions"), None)
    elif not part.has("ranks", "ordinals"):
        use([unit for unit in part.of("numbers") if limits_number([unit])], None)
    lengths = [unit.value for unit in part.of("units")]
    length = cast("Length", lengths[0]) if lengths else None
    nouns = [at for at, unit in enumerate(part.units) if unit.kind == "term"]
    return Wish("ask", named, objects, length=length, postfix=bool(nouns) and nouns[0] < first)


def _uncounted(thing: Thing) -> Thing:
    """Let a question be about all there are: a number in it is what is asked."""
    if thing.which.rank or thing.which.nth != 1 or thing.which.from_end:
        return thing
    return thing.model_copy(update={"which": thing.which.model_copy(update={"limit": None})})


def _topics(part: Part) -> list[Unit]:
    topics = part.of("topics")
    is_order = not part.asked and part.has("find")
    # "Outline the polyp if present" asks nothing.
    return [] if is_order and {unit.value for unit in topics} == {"presence"} else topics


def _asks_of_unknown(part: Part) -> bool:
    """Tell whether an unknown noun may be what is asked of: "is there a zorblax?"."""
    return any(unit.value in ("presence", "place", "count") for unit in part.of("topics"))


def _named_topics(topics: Sequence[Unit]) -> tuple[str, ...]:
    named = list(dict.fromkeys(unit.value for unit in topics))
    for generic in _GENERIC:
        if len(named) > 1 and generic in named:
            named.remove(generic)
    return tuple(named)


def read_asks(part: Part) -> Wish | None:
    """Read a question without a word for what it asks: "is the mass on the left?"."""
    asks = part.of("asks")
    if not asks and not (part.is_question and part.has("acts", "mild", "ranks")):
        return None
    topic = _asked_topic(part)
    if topic is None:
        return None
    use([*asks, *part.of("acts", "mild", *MODIFIERS)], "question")
    if topic == "diagnosis":
        nouns = [unit for unit in part.of("term") if "diagnoses" in unit.roles]
        rest = [unit for unit in part.units if unit not in nouns]
        use(nouns, "question")
        objects = read_objects(part, rest)
        return Wish("ask", (topic,), objects)
    objects = read_objects(part, part.units)
    # "Which is the smallest?" asks for that one.
    ranked = topic == "size" and part.has("ranks")
    bare = tuple(
        thing
        if ranked or topic in ("presence", "names")
        else thing.model_copy(update={"which": Objects().which})
        for thing in objects.things
    )
    which = objects.which if ranked or topic == "names" else Objects().which
    return Wish("ask", (topic,), Objects(bare, which, objects.masks))


def _asked_topic(part: Part) -> Topic | None:
    if part.is_question and part.has("acts", "mild"):
        # "Is the outline too large?" doubts, it orders nothing.
        return "why"
    if part.is_question and part.has("thresholds"):
        # "Is it larger than 2 cm?" is answered with its size.
        use(part.of("thresholds", "amount", "numbers"), "question")
        return "size"
    if any("diagnoses" in unit.roles for unit in part.of("term")):
        return "diagnosis"
    topics: dict[str, Topic] = {"sides": "side", "places": "place", "ranks": "size"}
    topics["term"] = "presence"
    return next((topic for kind, topic in topics.items() if part.has(kind)), None)


def read_doubt(part: Part) -> Wish | None:
    """Read a question about what an act would change, or a limit: "is it too large?"."""
    return read_asks(part) if part.is_question and part.has("acts", "thresholds") else None
