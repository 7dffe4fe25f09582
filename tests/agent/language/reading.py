"""Compares the intent that is read with the one that is expected."""

from collections.abc import Mapping, Sequence
from typing import Any

from agent.schemas.intent import Intent, Operation, Question, Thing, Which

Expected = Mapping[str, Any]


def differences(intent: Intent, expected: Expected) -> list[str]:
    """Return what is otherwise than expected; of several allowed intents, of the nearest one."""
    allowed = expected.get("either", [expected])
    return min((_differences(intent, one) for one in allowed), key=len)


def _differences(intent: Intent, expected: Expected) -> list[str]:
    told = []
    if not _in_order(_things, intent.find, expected.get("find", ())):
        told.append(f"find {[(one.words, one.terms, _said(one.which)) for one in intent.find]}")
    if not _all(intent.operations, expected.get("operations", ()), _operations, intent):
        told.append(f"operations {[_short(one) for one in intent.operations]}")
    if not _all(intent.questions, expected.get("questions", ()), _questions, intent):
        told.append(f"questions {[_short(one) for one in intent.questions]}")
    if intent.talk != expected.get("talk"):
        told.append(f"talk {intent.talk}")
    if not _understood(intent.not_understood, expected.get("not_understood", ())):
        told.append(f"not understood {intent.not_understood}")
    return told


def _short(done: Operation | Question) -> dict[str, Any]:
    return done.model_dump(exclude_defaults=True, exclude={"words"})


def _said(which: Which) -> dict[str, Any]:
    return which.model_dump(exclude_defaults=True)


def _in_order(same: Any, got: Sequence[Any], wanted: Sequence[Any]) -> bool:
    return len(got) == len(wanted) and all(map(same, got, wanted))


def _things(got: Thing, wanted: Expected) -> bool:
    if "unknown" in wanted:
        return not got.terms and wanted["unknown"] in got.words
    terms = wanted.get("terms_any", wanted.get("terms", ()))
    return bool(set(terms) & set(got.terms)) and _which(got.which, wanted.get("which", {}))


def _which(got: Which, wanted: Expected) -> bool:
    # "all the vessels" and "vessels" are the same wish.
    return got == Which(**wanted) or got.model_copy(update={"several": False}) == Which(**wanted)


def _all(got: Sequence[Any], wanted: Sequence[Expected], same: Any, intent: Intent) -> bool:
    """Tell whether each wanted one is there once, in any order, and nothing else."""
    left = list(got)
    for one in wanted:
        match = next((other for other in left if same(other, one, intent)), None)
        if match is None:
            return False
        left.remove(match)
    return not left


def _about(got: Sequence[Thing], wanted: Sequence[Expected], intent: Intent) -> bool:
    """Tell whether the things are those wanted; none wanted is "it": what is found, or the last."""
    if not wanted:
        return all(any(set(one.terms) & set(two.terms) for two in intent.find) for one in got)
    return _in_order(_things, got, wanted)


def _operations(got: Operation, wanted: Expected, intent: Intent) -> bool:
    box = wanted.get("box")
    return (
        got.act == wanted["act"]
        and list(got.masks) == list(wanted.get("masks", ()))
        and _about(got.things, wanted.get("things", ()), intent)
        and _about(got.minus, wanted.get("minus", ()), intent)
        and _which(got.which, wanted.get("which", {}))
        and (got.amount, got.unit) == (wanted.get("amount"), wanted.get("unit"))
        and (got.box.model_dump() if got.box else None) == box
    )


def _questions(got: Question, wanted: Expected, intent: Intent) -> bool:
    return (
        got.topic == wanted["topic"]
        and list(got.masks) == list(wanted.get("masks", ()))
        and _about(got.things, wanted.get("things", ()), intent)
        and got.unit == wanted.get("unit")
    )


def _understood(got: Sequence[str], wanted: Sequence[str]) -> bool:
    """Tell whether each part is in one that is wanted or holds it, and each wanted one is told."""

    def touch(first: str, second: str) -> bool:
        return first in second or second in first

    return all(any(touch(part, one) for part in got) for one in wanted) and all(
        any(touch(part, one) for one in wanted) for part in got
    )
