"""Other words for the fields and values of an answer, brought into ours. Pure.

Models write fields under neighbouring names, in capitals and in other languages, single things
instead of lists and words instead of objects. Here all that becomes what was asked for; what is
not known here is left as it is, and does not fit.
"""

import re
from collections.abc import Mapping
from typing import NamedTuple

from agent.mllm.json.decode import NotJson, decode
from agent.mllm.json.misfit import Misfit, refuse_repeated

# Our words, each with the folded ones that stand for it, itself first.
Words = Mapping[str, tuple[str, ...]]

_FOUR_NUMBERS = re.compile(r"(?<!\d)\d+(?:\.\d+)?(?:[\s,;()\[\]]+\d+(?:\.\d+)?){3}")
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


PLAN_FIELDS = to_words(
    decision="action, entscheidung, decision_type",
    modality="image_modality, imaging_modality, modalitaet, modalit\u00e9, modalidad",
    targets="target, structures, organs, ziele, cibles, objetivos",
    calls="call, tool_calls, prompts, segmentations, objects, detections, regions, results, "
    "annotations, findings, groundings, predictions, instances, lesions, items",
    operations="operation, edits, edit, changes, orders, order, commands",
    questions="question, asked, queries",
    talk="small_talk, smalltalk, chat",
    context="contexts, history, context_words",
    not_understood="ununderstood, not_understood_parts, unresolved, leftover, leftovers",
    note="notes, remark, remarks, comment, comments, explanation",
)
TARGET_FIELDS = to_words(
    label="name, target, structure, object, title, term, class, concept, description, bezeichnung",
    count="number_of_instances, quantity, how_many, instances",
    where="location, position, place, site, lage",
    words="request_words, verbatim, quote, original_words",
    which="selection, selector, which_one",
    id="number, index, no, target_id",
)
CALL_FIELDS = to_words(
    target="target_id, target_number, target_index, for_target, target_no, ziel, cible",
    concept="phrase, text, prompt, text_prompt, noun_phrase, query, concept_phrase, concepts",
    label="name, class, category, structure, object, object_name, title",
    avoid="avoid_boxes, negative, negatives, negative_boxes, exclude, exclusions",
)
INSPECT_FIELDS = to_words(
    masks="mask, panels, verdicts, judgements, judgments, evaluations",
    complete="completed, complete_targets, done, is_complete",
    missing="lacking, what_is_missing",
    next="next_step, next_action, action, decision",
    calls="call, next_calls, new_calls, tool_calls, prompts",
)
MASK_FIELDS = to_words(
    id="panel, label, mask, mask_id, panel_id, name",
    verdict="judgement, judgment, decision, assessment, rating",
    issue="issues, problem, flaw, fault",
    better_than_incumbent="better, better_than_m0, is_better",
)
COMPARISON_FIELDS = to_words(
    better="winner, answer, choice, best, better_panel, preferred, verdict",
    reason="explanation, why, note",
)

DECISIONS = to_words(
    segment="segmentation, outline, proceed, present, found, yes, segmentieren, segmentiere, "
    "segmenter, segmentar, segmentare, segmenteren, \u5206\u5272",
    absent="not_present, not_found, not_there, not_visible, no_target, abwesend, "
    "nicht_vorhanden, ausente, assente, afwezig, \u4e0d\u5b58\u5728",
    unclear="unknown, uncertain, ambiguous, unsure, unklar, incertain, pas_clair, no_claro, "
    "poco_claro, onduidelijk, \u4e0d\u6e05\u695a",
)
COUNTS = to_words(
    one="1, single, a, an, only_one, ein, eine, eins, un, une, uno, una",
    several="multiple, many, few, two, three, more, all, both, mehrere, plusieurs, varios",
    unknown="unclear, any, unsure",
)
NEXT_STEPS = to_words(
    stop="done, finish, finished, end, accept, none, no, nothing",
    segment="continue, refine, retry, repeat, again, call, calls, next, yes",
    absent="not_present, not_found, not_there, no_target",
)
VERDICTS = to_words(
    accept="accepted, acceptable, good, ok, okay, correct, yes, pass, keep",
    partial="partially, partly, partially_correct, partial_accept, needs_refinement, refine",
    reject="rejected, wrong, bad, incorrect, no, fail, discard",
)
ISSUES = to_words(
    none="ok, no_issue, no_issues, no",
    wrong_structure="wrong_organ, wrong_object, wrong_target, different_structure",
    wrong_side="other_side, wrong_laterality",
    too_large="too_big, oversized, over_segmented, over_segmentation",
    too_small="undersized, under_segmented, under_segmentation",
    leak="leaks, leaking, leakage, spill, spills, spilling",
    missing_parts="missing_part, parts_missing, incomplete, missing",
    fragmented="fragments, specks, holes, holes_and_specks",
    not_present="absent, not_there, not_found, no_target",
)
BETTER = to_words(yes="true, better", no="false, worse", same="equal, tie, similar, no_incumbent")
PANELS = to_words(
    A="panel_a, first, picture_a, outline_a, option_a",
    B="panel_b, second, picture_b, outline_b, option_b",
    same="equal, tie, neither, both, equivalent, no_difference, similar",
)


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


def count_of(value: object) -> str:
    """Return how many are expected; what cannot be told is ``unknown``."""
    match = re.fullmatch(r"\s*(\d{1,6})(?:\.0+)?\s*", str(value))
    if match is not None and not isinstance(value, bool):
        return "one" if int(match[1]) == 1 else "several"
    try:
        return choice_of(value, COUNTS, "count")
    except Misfit:
        return "unknown"


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


def holds_numbers(value: object) -> bool:
    """Tell whether a text holds four numbers in a row, as a box has."""
    return isinstance(value, str) and _FOUR_NUMBERS.search(value) is not None


def list_of(value: object) -> list[object]:
    """Return a list as it is, nothing as an empty one, and a single thing as a list of it."""
    value = opened_json(value)
    if is_none(value):
        return []
    return value if isinstance(value, list) else [value]


def first_of(value: object) -> object:
    """Return the first of a list, and anything else as it is."""
    return value[0] if isinstance(value, list) and value else value


def place_words(value: object, where: str) -> str:
    """Return the words on a place.

    Raises:
        Misfit: it is no text, or a box that is written as one.
    """
    words = note_of(value, where)
    if holds_numbers(words):
        raise Misfit(where, "must be a few words, with the box in a call")
    return words


def note_of(value: object, where: str) -> str:
    """Return a remark, also one in several parts; a single truth or number says nothing.

    Raises:
        Misfit: it is no text.
    """
    parts = [value] if isinstance(value, str) else list_of(value)
    others = [part for part in parts if not isinstance(part, str)]
    if len(others) > 1 or any(isinstance(part, dict | list) for part in others):
        raise Misfit(where, "must be a text or null")
    return "; ".join(part for part in parts if isinstance(part, str))


def entries_of(value: object, key: str, names: Words) -> list[object]:
    """Return the items of a list; of an object by names, each item with its name under `key`."""
    if not isinstance(value, dict) or fields_of(value, names, "").known:
        return list_of(value)
    inner = {name: item for name, item in value.items() if isinstance(item, dict)}
    whole = len(inner) == len(value)
    return [{key: name, **item} for name, item in inner.items()] if whole else list_of(value)
