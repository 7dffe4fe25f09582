"""Reads what a part of a request wants done with masks. Pure."""

from typing import cast

from agent.language.reading.parts import Part
from agent.language.reading.things import MODIFIERS, Objects, limits_number, read_objects
from agent.language.reading.units import Unit
from agent.language.reading.wishes import NOUNS, PAIRING, Wish, use
from agent.schemas.intent import EDITS, Act

# "There is a second one, look again" names no mask that is there.
_UNNUMBERED: frozenset[Act] = frozenset({"retry", "undo", "redo", "clear", "add"})
_LIMITING = frozenset({"unknown", "unsupported", "thresholds", "amount", "numbers", "term"})
# Acts on some of the masks: done to too many they take away what was to stay.
_CHOOSING: frozenset[Act] = frozenset({"drop", "clear", "keep", "wrong", "accept"})
_TAKING: frozenset[Act] = frozenset({"drop", "clear", "keep", "subtract"})
_PLACING = frozenset({"term", "mask_words", "border_nouns", "unknown"})
_BUT: dict[Act, Act] = {"drop": "keep", "clear": "keep", "keep": "drop"}
_GROWING: dict[Act, Act] = {"bigger": "grow", "tighter": "shrink"}


def read_act(part: Part) -> Wish | None:
    """Read a part with a word for what is to be done, None for one without."""
    acts = part.of("acts")
    amounts = part.of("amount")
    margins = [unit for unit in part.units if "margin" in unit.roles]
    if margins and amounts and {unit.value for unit in acts} <= {"add"}:
        use([*acts, *margins], "operation")
        return _edit(part, "grow", margins[0])
    if not acts:
        return None
    act = _meant(part, acts)
    use([*acts, *part.of("all_but", "only", "topics", "rest")], "operation")
    return _edit(part, act, acts[0])


def _meant(part: Part, acts: list[Unit]) -> Act:
    """Return what the acts of a part come to: "remove the specks", "delete all but the cup"."""
    is_of_thread = acts[0].value in ("undo", "redo", "retry")
    act = cast("Act", (acts[0] if is_of_thread else acts[-1]).value)
    if part.has("all_but"):
        return _BUT.get(act, act)
    if act == "drop":
        cuts = any("sources" in unit.roles for unit in part.units)
        if cuts and len(part.of("term")) > 1:
            return "subtract"
        return "clear" if _means_all(part) else "drop"
    return act


def _means_all(part: Part) -> bool:
    named = part.has("term", "ids", "all_but", "unknown", "rest", "sides", "ranks", "places")
    return part.has("several") and not named and not part.has("border", "ordinals")


def _edit(part: Part, act: Act, verb: Unit) -> Wish:
    """Return an act with its objects and its amount."""
    amount = _amount(part, act)
    if amount is not None:
        act = _GROWING.get(act, act)
    use(part.of("find", "mask_words", "sources", "mild", "asks"), "operation")
    if act == "clear":
        use(part.of("several"), "operation")
    units = part.units
    if act in _UNNUMBERED:
        units = [unit for unit in units if unit.kind not in ("ordinals", "numbers", "several")]
    unknown = act in ("add", "drop", "keep", "wrong")
    objects = by_number(part, read_objects(part, units, pairs=act in PAIRING, unknown=unknown))
    at = part.units.index(verb)
    before = [unit for unit in part.units[:at] if unit.kind in NOUNS or unit.ids]
    if _is_unclear(part, act):
        return _not_done(part)
    if act == "clear" and objects.things:
        act = "drop"
    wish = Wish("act", (act,), objects, amount=amount, postfix=bool(before))
    wish.only = part.has("only")
    if act == "subtract" and len(objects.things) > 1:
        wish.minus, wish.objects = objects.things[:1], Objects(objects.things[1:])
    return wish


def _amount(part: Part, act: Act) -> Unit | None:
    """Return by how much an outline is to grow or to shrink; "by 3" is meant in pixels."""
    amounts = part.of("amount")
    if not amounts and act in ("grow", "shrink"):
        amounts = [
            unit
            for before, unit in zip([None, *part.units], part.units, strict=False)
            if unit.kind == "numbers" and (unit.words[0].isdigit() or _is_by(before))
        ]
    if not amounts or act not in ("grow", "shrink", *_GROWING):
        return None
    amount = amounts[0]
    if amount.kind == "numbers":
        amount.kind, amount.value = "amount", "px"
        if amount.number < 1:
            # "By half".
            amount.value, amount.number = "percent", 100 * amount.number
    amount.by = "operation"
    return amount


def _is_by(unit: Unit | None) -> bool:
    return unit is not None and unit.words == ("by",)


def _is_unclear(part: Part, act: Act) -> bool:
    """Tell whether less than all of it was meant, and what exactly is not understood."""
    if act in EDITS and _is_directed(part):
        return True
    if act in ("undo", "redo") and part.has("term", "ids"):
        # Only what was done to one thing is to be taken back.
        return True
    if part.has("all_but") and act not in _BUT:
        return True
    limits = any(_limits(unit) for unit in part.units) or _is_vague(part)
    return (act in _TAKING and _is_somewhere(part)) or (act in _CHOOSING and limits)


def _is_somewhere(part: Part) -> bool:
    """Tell whether masks are meant by what they lie in or near: "drop the nuclei near m1"."""
    for at, unit in enumerate(part.units):
        if unit.kind != "locatives" or unit.words == ("of",) or "sources" in unit.roles:
            continue
        after = [one for one in part.units[at + 1 :] if one.kind not in ("function", "several")]
        if after and (after[0].kind in _PLACING or after[0].ids):
            return True
    return False


def _is_vague(part: Part) -> bool:
    """Tell whether an act is done to some that no word tells from the others: "drop two"."""
    if part.has("ids"):
        return False
    is_ordered = part.has("ranks", "ordinals")
    some = part.has("all_but") and not part.has("term", "unknown", *MODIFIERS - {"several"})
    return some or (not is_ordered and limits_number(part.units))


def _not_done(part: Part) -> Wish:
    use(part.units, None)
    return Wish("none", spoken=False)


def _is_directed(part: Part) -> bool:
    """Tell whether an edit is of one side of an outline: "tighter on the left"."""
    if part.has("term", "ids") or any(unit.words[-1] in ("one", "ones") for unit in part.units):
        return False
    for at, unit in enumerate(part.units[1:], 1):
        before = [one for one in part.units[:at] if one.kind != "function"]
        is_place = unit.kind in ("sides", "places") and bool(before)
        if is_place and (before[-1].kind == "locatives" or "mask_words" in before[-1].roles):
            return True
    return False


def _limits(unit: Unit) -> bool:
    """Tell whether a word may limit what an act is done to."""
    return unit.kind == "descriptions" or (unit.by is None and unit.kind in _LIMITING)


def by_number(part: Part, objects: Objects) -> Objects:
    """Return "the second" and "the first two" as ids."""
    which = objects.which
    ordinals = part.of("ordinals")
    ordinals = [unit for unit in ordinals if unit.by is not None]
    is_plain = (
        not objects.things and not objects.masks and which.rank is None and not which.from_end
    )
    if not ordinals or not is_plain or which.side or which.place or which.border:
        return objects
    numbers = {int(unit.value) for unit in ordinals if int(unit.value) > 0}
    if numbers == {1} and which.limit:
        numbers = set(range(1, which.limit + 1))
    return Objects(masks=tuple(f"m{number}" for number in sorted(numbers)))
