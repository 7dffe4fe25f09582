"""Reads the verb of a part of a request: what it finds, does, asks, leaves out. Pure."""

from collections.abc import Sequence

from agent.language.reading.asking import read_asks, read_doubt, read_topics
from agent.language.reading.editing import by_number, read_act
from agent.language.reading.parts import Part
from agent.language.reading.things import Objects, read_objects
from agent.language.reading.wishes import NOUNS, Kind, Wish, use
from agent.schemas.intent import ANY, Thing

_PIECES = frozenset({"half", "part", "third"})
# "How do I delete a mask?" deletes none.
_TELLING = frozenset({"how", "what", "which"})


def read_verb(part: Part, implied: Sequence[Thing]) -> Wish | None:
    """Return the wish of a part with a verb of its own, None for one that names things only.

    Args:
        part: to read.
        implied: structures that a measure it names is of ("CDR").
    """
    for reader in _READERS:
        wish = reader(part)
        if wish is not None:
            wish.parts.append(part)
            if wish.kind == "ask" and not wish.objects.things and implied:
                wish.objects = Objects(tuple(implied))
            return wish
    return None


def _leave(part: Part) -> Wish | None:
    """Read what must stay: "do not touch the LV", "without smoothing"."""
    negations = part.of("negations")
    if not negations:
        return None
    first = negations[0]
    at = part.units.index(first)
    after = [unit for unit in part.units[at + 1 :] if unit.kind not in ("function", "mask_words")]
    is_edit = bool(after) and after[0].kind in ("acts", "comparatives")
    if first.value != "leave" and not is_edit:
        return None
    for unit in part.units:
        if unit.kind != "unknown" and unit.kind != "unsupported":
            unit.by = "context"
    return Wish("leave")


def _box(part: Part) -> Wish | None:
    corners = part.of("corners")
    if not corners:
        return None
    use([*corners, *part.of("box", "find", "acts")], "operation")
    objects = read_objects(part, part.units, unknown=part.has("find"))
    return Wish("act", ("box",), objects, box=corners[0])


def _help(part: Part) -> Wish | None:
    """Read small talk that stands before anything else: "how do I remove a mask"."""
    words = [unit for unit in part.units if unit.kind not in ("function", "polite")]
    if not words or words[0].kind != "talk" or words[0].value != "help":
        return None
    if words[0].words[0] not in _TELLING and part.has("term", "ids", "acts", "find", "unknown"):
        # "Can you help me outline the polyp?" asks for the polyp.
        words[0].by = "function"
        return None
    for unit in part.units:
        unit.by = "talk"
    return Wish("talk", ("help",))


def _exclude(part: Part) -> Wish | None:
    negations = part.of("negations")
    if part.has("all_but"):
        negations = part.of("all_but")
    if not negations:
        return None
    if part.asked and part.joint in ("start", "break") and not part.has("find"):
        # "No pneumothorax?" asks whether there is one.
        use(negations, "function")
        return None
    kind: Kind = "subtract" if negations[0].value == "subtract" else "exclude"
    use([*negations, *part.of("find", "mild")], "operation")
    if negations[0].kind == "all_but":
        use(part.of("several"), "operation")
    objects = read_objects(part, part.units)
    if not objects.things and any(unit.words[-1] in _PIECES for unit in part.units):
        # "But not the left half": masks are left out whole.
        use(part.units, None)
        return Wish("none", spoken=False)
    if objects.is_empty:
        for unit in negations:
            unit.by = "function" if unit.words in (("no",),) else None
        return None if part.has("find") else Wish("none", spoken=False)
    return Wish(kind, (kind,), objects)


def _only(part: Part) -> Wish | None:
    only = part.of("only")
    if not only or part.has("find"):
        return None
    use([*only, *part.of("rest")], "operation")
    objects = by_number(part, read_objects(part, part.units, unknown=True))
    if objects.is_empty:
        use(only, "function")
        return None
    return Wish("act", ("keep",), objects, only=True)


def _find(part: Part) -> Wish | None:
    finds = part.of("find")
    if not finds:
        return None
    objects = read_objects(part, part.units, unknown=True)
    only = part.of("only")
    use([*only, *finds], "function")
    chosen = objects.which.model_copy(update={"several": False})
    if not objects.things and (chosen != ANY or (only and objects.masks)):
        return Wish("act", ("keep",), objects)
    at = part.units.index(finds[0])
    nouns = [unit for unit in part.units[:at] if unit.kind in NOUNS]
    return Wish("find", ("find",), objects, postfix=bool(nouns), only=bool(only))


def _mild(part: Part) -> Wish | None:
    """Read "m1 ok" and "good": acts where nothing else is said."""
    mild = part.of("mild")
    if not mild or part.has("talk"):
        return None
    objects = read_objects(part, part.units)
    if objects.things and part.units.index(mild[0]) < part.units.index(part.of("term")[0]):
        # "ok the liver" asks for the liver.
        use(mild, "function")
        return Wish("find", ("find",), objects, spoken=False)
    use(mild, "operation")
    return Wish("act", (mild[0].value,), objects, postfix=True, spoken=not objects.is_empty)


# The first that knows what to make of a part has it.
_READERS = (
    *(_leave, _box, _help, read_topics, read_doubt, read_act),
    *(_exclude, _only, _find, read_asks, _mild),
)
