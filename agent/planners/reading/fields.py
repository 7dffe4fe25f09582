"""The fields of an answer under the names that models give them: generic parts of reading. Pure.

What is not known here is left as it is, and does not fit.
"""

from collections.abc import Mapping
from typing import NamedTuple

from agent.mllm.json.decode import NotJson, decode
from agent.mllm.json.misfit import Misfit, refuse_repeated

# Our words, each with the folded ones that stand for it, itself first.
Words = Mapping[str, tuple[str, ...]]

_NOTHING = frozenset({"", "null", "none", "nil", "na", "undefined"})


def fold(word: str) -> str:
    """Return a name in lower case, letters and digits only: "Bounding Box" is ``boundingbox``."""
    return "".join(letter for letter in word.casefold() if letter.isalnum())


def is_none(value: object) -> bool:
    """Tell whether a value says that there is nothing."""
    if isinstance(value, str):
        return fold(value) in _NOTHING
    return value is None or value == [] or value == {}


def to_words(**names: str) -> Words:
    """Return a table of words: for each of ours the ones that stand for it, as "one, other"."""
    return {name: tuple(map(fold, (name, *words.split(", ")))) for name, words in names.items()}


class Fields(NamedTuple):
    """The fields of an object.

    Attributes:
        known: by our names; what holds nothing is left out.
        rest: all others as they are named, and the second of two names of one field.
    """

    known: dict[str, object]
    rest: dict[str, object]


def fields_of(value: Mapping[str, object], names: Words, where: str) -> Fields:
    """Return the fields of an object; of several names of one the first of its words counts.

    Raises:
        Misfit: a name is given twice, as in capitals and without, with values that differ.
    """
    by_fold: dict[str, object] = {}
    for key, inner in value.items():
        folded = fold(key)
        if is_none(inner):
            continue
        if folded in by_fold and by_fold[folded] != inner:
            name = next((name for name, words in names.items() if folded in words), "")
            raise Misfit(join(where, name) if name else where, "must be given once")
        by_fold[folded] = inner
    known: dict[str, object] = {}
    for name, words in names.items():
        present = [word for word in words if word in by_fold]
        if present:
            known[name] = by_fold.pop(present[0])
    return Fields(known, by_fold)


def join(where: str, name: str) -> str:
    """Return the path of a field of the object at a path."""
    return f"{where}.{name}" if where else name


def choice_of(value: object, words: Words, where: str) -> str:
    """Return our word for a choice.

    Raises:
        Misfit: it is none of them.
    """
    if isinstance(value, bool):
        value = "yes" if value else "no"
    folded = fold(str(value)) if isinstance(value, str | int) else None
    for name, others in words.items():
        if folded in others:
            return name
    raise Misfit(where, f"must be one of {', '.join(words)}")


def opened_json(value: object) -> object:
    """Return what a text holds that is JSON itself, anything else as it is.

    Raises:
        Misfit: it contradicts itself.
    """
    if not isinstance(value, str) or value.strip()[:1] not in ("[", "{"):
        return value
    try:
        opened = decode(value)
    except NotJson:
        return value
    refuse_repeated(opened, ())
    return opened


def list_of(value: object) -> list[object]:
    """Return a list as it is, nothing as an empty one, and a single thing as a list of it."""
    value = opened_json(value)
    if is_none(value):
        return []
    return value if isinstance(value, list) else [value]


def first_of(value: object) -> object:
    """Return the first of a list, and anything else as it is."""
    return value[0] if isinstance(value, list) and value else value


def entries_of(value: object, key: str, names: Words) -> list[object]:
    """Return the items of a list; of an object by names, each item with its name under `key`."""
    if not isinstance(value, dict) or fields_of(value, names, "").known:
        return list_of(value)
    inner = {name: item for name, item in value.items() if isinstance(item, dict)}
    whole = len(inner) == len(value)
    return [{key: name, **item} for name, item in inner.items()] if whole else list_of(value)
