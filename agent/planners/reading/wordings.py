"""Other words for the fields and values of an answer, brought into ours. Pure.

Models write fields under neighbouring names, in capitals and in other languages, single things
instead of lists and words instead of objects. Here all that becomes what was asked for; what is
not known here is left as it is, and does not fit.
"""

import re

from agent.mllm.json.misfit import Misfit
from agent.planners.reading.fields import choice_of, list_of, to_words

_FOUR_NUMBERS = re.compile(r"(?<!\d)\d+(?:\.\d+)?(?:[\s,;()\[\]]+\d+(?:\.\d+)?){3}")


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


def count_of(value: object) -> str:
    """Return how many are expected; what cannot be told is ``unknown``."""
    match = re.fullmatch(r"\s*(\d{1,6})(?:\.0+)?\s*", str(value))
    if match is not None and not isinstance(value, bool):
        return "one" if int(match[1]) == 1 else "several"
    try:
        return choice_of(value, COUNTS, "count")
    except Misfit:
        return "unknown"


def holds_numbers(value: object) -> bool:
    """Tell whether a text holds four numbers in a row, as a box has."""
    return isinstance(value, str) and _FOUR_NUMBERS.search(value) is not None


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
