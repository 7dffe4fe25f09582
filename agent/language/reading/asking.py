"""Reads what a part of a request asks to be told. Pure."""

from collections.abc import Sequence
from typing import cast

from agent.language.reading.parts import Part
from agent.language.reading.things import MODIFIERS, Objects, read_objects
from agent.language.reading.units import Unit
from agent.language.reading.wishes import PAIRING, Wish, use
from agent.schemas.intent import Topic
from agent.schemas.intent import Unit as Length

# Words of measures are what these change: "increase the size".
_QUESTION_WORDS = frozenset({"how", "what", "where", "why", "which", "is", "are", "do", "can"})
# Answered by any other topic of the same part, the first one first.
_GENERIC: tuple[Topic, ...] = ("names", "presence", "place", "size", "share")


def read_topics(part: Part) -> Wish | None:
    """Read a part with a word for what it asks: "how big is it?"."""
    topics = _topics(part)
    if not topics:
        return None
    acts = [unit for unit in part.units if unit.kind in ("acts", "comparatives")]
    first = part.units.index(topics[0])
    if acts and part.units.index(acts[0]) < first:
        return None
    if acts and topics[0].words[0] not in _QUESTION_WORDS:
        return None
    used = part.of("topics", "acts", "comparatives", "find", "asks", "only", "mild", "sources")
    use([*used, *part.of("negations", "units", "amount", "rest", "margin", "box")], "question")
    named = _named_topics(topics)
    if topics[0].words[-1] == "than" and not part.has("amount"):
        named = ("compare",)
    pairs = bool(PAIRING & set(named))
    objects = read_objects(part, part.units, pairs=pairs, unknown=_asks_of_unknown(part))
    use([unit for unit in part.of("numbers") if unit.by is None], "question")
    lengths = [unit.value for unit in part.of("units", "amount")]
    length = cast("Length", lengths[0]) if lengths else None
    nouns = [at for at, unit in enumerate(part.units) if unit.kind == "term"]
    return Wish("ask", named, objects, length=length, postfix=bool(nouns) and nouns[0] < first)


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
    if not asks:
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
    bare = tuple(
        thing if topic == "presence" else thing.model_copy(update={"which": Objects().which})
        for thing in objects.things
    )
    return Wish("ask", (topic,), Objects(bare, masks=objects.masks))


def _asked_topic(part: Part) -> Topic | None:
    if part.asked and part.has("acts"):
        # "Is the outline too large?" doubts, it orders nothing.
        return "why"
    if any("diagnoses" in unit.roles for unit in part.of("term")):
        return "diagnosis"
    topics: dict[str, Topic] = {"sides": "side", "places": "place", "term": "presence"}
    return next((topic for kind, topic in topics.items() if part.has(kind)), None)


def read_doubt(part: Part) -> Wish | None:
    """Read a question about what an act would change: "is it too large?"."""
    return read_asks(part) if part.asked and part.has("asks") and part.has("acts") else None
