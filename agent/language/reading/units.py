"""Turns words into units: structures, acts, numbers with their units, mask ids, boxes. Pure."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

from agent.language.grammar import Grammar, Roles
from agent.language.lexicon import Lexicon, Term
from agent.language.tokens import Token
from segmenter.words.phrases import Found, Words

By = Literal["thing", "operation", "question", "talk", "context", "function"]

# Marks that only hold words together; a hyphen between spaces parts them.
_GLUE = frozenset("-'\u2019\"()[]{}=*_#~<>`\u201c\u201d\u201e\u2026\u00bf\u00a1|\\@")
_BRIDGES = frozenset("-/&")
_MASK_ID = re.compile(r"m[1-9][0-9]{0,5}")
_MASK_NUMBER = re.compile(r"[1-9][0-9]{0,5}")
_NUMBER = re.compile(r"\d+(?:\.\d+)?")
_BETWEEN_CORNERS = ((",",), ("-",), ("to",), ("and",), (";",))
# Words between the parts of a phrase such as "take ... away".
_MAX_GAP = 6
# Ids and what may stand between them, at most in one list.
_MAX_ID_LIST = 200
# Groups that never hide a structure of the same name.
_BESIDE_TERMS = frozenset({"tails", "regions", "diagnoses", "number_before"})
# Always understood: they ask for nothing.
_OWN: dict[str, By] = {
    "context": "context",
    "modality": "context",
    "image_words": "context",
    "descriptions": "context",
    "joins": "function",
    "breaks": "function",
    "locatives": "function",
    "function": "function",
    "polite": "function",
    "pronouns": "function",
    "also": "function",
    "asks": "function",
    "mask_words": "function",
    "mild": "function",
    "only": "function",
    "conditions": "function",
}


@dataclass
class Unit:
    """Tokens ``start`` to ``end`` (half-open) that mean one thing.

    Attributes:
        kind: the group of the grammar that counts, ``term``, ``modality``, ``ids``, ``amount``,
            ``corners`` or ``unknown``.
        value: what the group says it means.
        roles: all groups of the grammar that the words stand in.
        ids: of masks.
        number: of an amount, or of a number in words.
        corners: of a box.
        by: what of the intent consumes it; None for nothing yet.
    """

    kind: str
    value: str
    start: int
    end: int
    words: Words
    terms: tuple[Term, ...] = ()
    roles: Roles = field(default_factory=dict)
    ids: tuple[str, ...] = ()
    number: float = 0.0
    corners: tuple[float, ...] = ()
    by: By | None = None


def to_units(tokens: Sequence[Token], lexicon: Lexicon, grammar: Grammar) -> list[Unit]:
    """Return the units of a request in their order."""
    places = [at for at in range(len(tokens)) if not _is_glue(tokens, at)]
    units = list(_phrases(tokens, places, lexicon, grammar))
    for unit in units:
        unit.by = _OWN.get(unit.kind)
    return _with_ids(_with_amounts(_with_boxes(units)))


def _is_glue(tokens: Sequence[Token], at: int) -> bool:
    word = tokens[at].word
    if word == "." and 0 < at < len(tokens) - 1:
        # "B. I." and "1.5.2" are rare; an end of a sentence is followed by a space.
        return tokens[at].end == tokens[at + 1].start and tokens[at + 1].word.isalnum()
    spaced = 0 < at < len(tokens) - 1 and tokens[at - 1].end < tokens[at].start < tokens[at].end
    if word == "-" and spaced:
        return tokens[at].end == tokens[at + 1].start
    return word in _GLUE or (not word.isalnum() and not _is_known_mark(word))


def _is_known_mark(word: str) -> bool:
    return len(word) > 1 or word in ",.;:?!%/&+-\u2013\u2014"


def _phrases(
    tokens: Sequence[Token], places: list[int], lexicon: Lexicon, grammar: Grammar
) -> Iterator[Unit]:
    """Yield the longest phrases of lexicon and grammar, and the words between them."""
    dense = [at for at in places if tokens[at].word not in _BRIDGES]
    bridges = {at for at in places if tokens[at].word in _BRIDGES}
    words = tuple(tokens[at].word for at in dense)
    done = 0
    gaps: dict[int, tuple[int, Roles]] = {}
    at = 0
    while at < len(dense):
        for mark in range(done, dense[at]):
            if mark in bridges:
                yield _bridge(tokens, mark)
        unit, taken = _unit_at(words, at, lexicon, grammar, gaps)
        unit.start, unit.end = dense[at], dense[at + taken - 1] + 1
        done, at = unit.end, at + taken
        yield unit


def _bridge(tokens: Sequence[Token], at: int) -> Unit:
    word = tokens[at].word
    return Unit("joins", "and" if word == "&" else "comma", at, at + 1, (word,))


def _unit_at(
    words: Words,
    at: int,
    lexicon: Lexicon,
    grammar: Grammar,
    gaps: dict[int, tuple[int, Roles]],
) -> tuple[Unit, int]:
    """Return the unit that starts at a word, without its place, and how many words it takes."""
    if at in gaps:
        taken, roles = gaps[at]
        return _of_roles(words[at : at + taken], roles), taken
    found = grammar.phrases.find_at(words, at)
    _find_gaps(words, at, grammar, gaps)
    if at in gaps and (found is None or found.end - at <= gaps[at][0]):
        return _unit_at(words, at, lexicon, grammar, gaps)
    term = lexicon.phrases.find_at(words, at)
    modality = lexicon.modalities.find_at(words, at)
    lengths = [one.end - at if one else 0 for one in (found, term, modality)]
    longest = max(lengths)
    if not longest:
        return _strange(words[at]), 1
    part, roles = words[at : at + longest], _roles(found, at + longest)
    if lengths[2] == longest:
        return Unit(
            "modality", modality.meaning if modality else "", 0, 0, part, roles=roles
        ), longest
    if term and lengths[1] == longest and roles.keys() <= _BESIDE_TERMS:
        return Unit("term", "", 0, 0, part, terms=term.meaning, roles=roles), longest
    return _of_roles(part, roles), longest


def _roles(found: Found[Roles] | None, end: int) -> Roles:
    return found.meaning if found and found.end == end else {}


def _of_roles(words: Words, roles: Roles) -> Unit:
    kind, value = next(iter(roles.items()))
    number = float(roles["numbers"]) if "numbers" in roles else 0.0
    return Unit(kind, value, 0, 0, words, roles=roles, number=number)


def _strange(word: str) -> Unit:
    if _MASK_ID.fullmatch(word):
        return Unit("ids", "", 0, 0, (word,), ids=(word,))
    if _NUMBER.fullmatch(word):
        return Unit("numbers", word, 0, 0, (word,), number=float(word))
    return Unit("unknown", "", 0, 0, (word,))


def _find_gaps(words: Words, at: int, grammar: Grammar, gaps: dict[int, tuple[int, Roles]]) -> None:
    """Note both places of a phrase in two parts whose first part starts at a word."""
    for size in (2, 1):
        for last, roles in grammar.gaps.get(words[at : at + size], ()):
            for other in range(at + size + 1, min(at + size + _MAX_GAP + 1, len(words))):
                if words[other] in ".;:?!,":
                    break
                if words[other : other + len(last)] == last:
                    gaps[at] = (size, roles)
                    gaps[other] = (len(last), {"function": ""})
                    return


def _with_boxes(units: list[Unit]) -> list[Unit]:
    """Join four numbers in a row to the corners of a box."""
    made: list[Unit] = []
    run: list[Unit] = []
    numbers = 0
    named = any(unit.kind == "box" for unit in units)
    run_of_ids = False
    for unit in [*units, Unit("breaks", "", 0, 0, ())]:
        is_number = unit.kind == "numbers" and unit.words[0][:1].isdigit()
        if is_number and not run and made and "mask_words" in made[-1].roles and not named:
            # "Masks 1, 3, 5 and 7".
            run_of_ids = True
        elif not is_number and unit.words not in _BETWEEN_CORNERS:
            run_of_ids = False
        is_number = is_number and not run_of_ids
        if is_number or (run and unit.words in _BETWEEN_CORNERS):
            run.append(unit)
            numbers += is_number
            continue
        made += _corners(run) if numbers == 4 else run
        run, numbers = [], 0
        made.append(unit)
    return made[:-1]


def _corners(run: list[Unit]) -> list[Unit]:
    values = tuple(unit.number for unit in run if unit.kind == "numbers")
    while run[-1].kind != "numbers":
        run = run[:-1]
    words = tuple(word for unit in run for word in unit.words)
    return [Unit("corners", "", run[0].start, run[-1].end, words, corners=values)]


def _with_amounts(units: list[Unit]) -> list[Unit]:
    """Join numbers to the units of length after them; "a pixel" is one."""
    made: list[Unit] = []
    for unit in units:
        before = made[-1] if made else None
        if "units" not in unit.roles or before is None:
            made.append(unit)
            continue
        number = before.number if "numbers" in before.roles or before.kind == "numbers" else 0.0
        if before.words in (("a",), ("an",)):
            number = 1.0
        if number:
            made[-1] = Unit(
                "amount",
                unit.value,
                before.start,
                unit.end,
                (*before.words, *unit.words),
                number=number,
            )
        else:
            made.append(unit)
    return made


def _with_ids(units: list[Unit]) -> list[Unit]:
    """Join "mask 1, 2 and 4" to ids."""
    made: list[Unit] = []
    at = 0
    while at < len(units):
        unit = units[at]
        starts = unit.kind == "ids" or (unit.kind == "mask_words" or "mask_words" in unit.roles)
        end, ids = _id_list(units, at) if starts else (at, ())
        if not ids:
            made.append(unit)
            at += 1
            continue
        words = tuple(word for one in units[at:end] for word in one.words)
        made.append(Unit("ids", "", unit.start, units[end - 1].end, words, ids=ids))
        at = end
    return made


def _id_list(units: list[Unit], at: int) -> tuple[int, tuple[str, ...]]:
    """Return where the list of ids that starts at a unit ends, and the ids."""
    ids: list[str] = []
    end = at
    for here, unit in enumerate(units[at : at + _MAX_ID_LIST], at):
        named = unit.ids or _numbered(unit)
        if named:
            ids += _range(ids, named, units[here - 1 : here + 1])
            end = here + 1
        elif unit.kind not in ("mask_words", "joins") and unit.words != ("number",):
            break
    return end, tuple(dict.fromkeys(ids))


def _range(ids: list[str], named: tuple[str, ...], pair: list[Unit]) -> tuple[str, ...]:
    """Return the ids that "1-4" adds to "1": a hyphen is the one mark between two units."""
    if not ids or len(named) > 1 or pair[1].start - pair[0].end != 1:
        return named
    first, last = int(ids[-1][1:]), int(named[0][1:])
    return tuple(f"m{number}" for number in range(first + 1, last + 1)[:_MAX_ID_LIST]) or named


def _numbered(unit: Unit) -> tuple[str, ...]:
    """Return the id that a whole number stands for after "mask"."""
    is_number = unit.kind == "numbers" or "numbers" in unit.roles
    is_whole = is_number and _MASK_NUMBER.fullmatch(f"{unit.number:g}")
    return (f"m{unit.number:g}",) if is_whole else ()
