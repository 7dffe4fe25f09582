"""Parts a request into what stands under one verb each. Pure."""

from dataclasses import dataclass, field
from typing import Literal

from agent.language.grammar import Grammar
from agent.language.lexicon import Lexicon, Term
from agent.language.reading.units import Unit
from segmenter.words.phrases import Words

Joint = Literal["start", "break", "and", "comma", "but", "negation"]
# What may stand between a side and the image it is a side of: "left half of this picture".
_IMAGE_LINKS = frozenset({"locatives", "function", "numbers", "mask_words", "places", "pronouns"})
# What may stand between "touching" and "border".
_BORDER_LINKS = frozenset({"function", "image_words", "pronouns"})
# An act that is named as what another act is done to: "remove the specks", "undo the smoothing".
_OBJECTS_OF_ACTS = frozenset({"fill", "despeckle"})
_OF_THE_THREAD = frozenset({"undo", "redo", "retry"})
_JUDGEMENTS = frozenset({"accept", "wrong"})
_CONTENT = frozenset({"term", "acts", "find", "ids", "unknown", "topics", "corners", "unsupported"})
_ORDERS = frozenset({"acts", "comparatives", "mild", "negations", "find"})
_DOUBTS = frozenset({"tighter", "bigger", "wrong", "accept"})
# "Make it bigger?" is a wish.
_MAKING = frozenset({"make", "let", "can", "could", "will", "would"})
_COUNTED = {
    "left": "leftmost",
    "right": "rightmost",
    "top": "topmost",
    "bottom": "bottommost",
}
_RELATIVE = (["that", "is"], ["which", "is"], ["that", "are"], ["which", "are"])
_RANKED = frozenset({"term", "unknown", "pronouns", "mask_words"})
# Nobody says more under one verb; it bounds the work on hostile text.
MAX_PART_UNITS = 40
# What stands after so many parts is returned as not understood.
MAX_PARTS = 60
# The words of a request that may settle what another one means, at most.
_MAX_SETTLING = 32


@dataclass
class Part:
    """Units under one verb.

    Attributes:
        joint: what stands before it.
        asked: it ends with a question mark.
        first: it begins a sentence.
        is_question: it begins like a question, or doubts: whatever it says, it changes no mask.
    """

    units: list[Unit]
    joint: Joint
    asked: bool = False
    first: bool = True
    is_question: bool = False

    def of(self, *kinds: str) -> list[Unit]:
        """Return the units of these kinds."""
        return [unit for unit in self.units if unit.kind in kinds]

    def has(self, *kinds: str) -> bool:
        """Tell whether there is a unit of these kinds."""
        return any(unit.kind in kinds for unit in self.units)


@dataclass
class _Splitter:
    parts: list[Part] = field(default_factory=lambda: [Part([], "start")])
    sentence: int = 0

    @property
    def now(self) -> Part:
        return self.parts[-1]

    def close(self, joint: Joint) -> None:
        if self.now.units:
            self.parts.append(Part([], joint, first=joint in ("break", "start")))
        elif self.now.joint in ("comma", "and") or joint == "break":
            self.now.joint = joint
            self.now.first = joint == "break"

    def end_sentence(self, mark: str) -> None:
        if mark == "?":
            for part in self.parts[self.sentence :]:
                part.asked = True
        self.close("break")
        self.sentence = len(self.parts) - 1


def to_parts(
    units: list[Unit], lexicon: Lexicon, grammar: Grammar
) -> tuple[list[Unit], list[Part]]:
    """Return the units, with names and context told apart, and the parts they make."""
    units = _prepared(units, lexicon)
    made = _Splitter()
    for unit in units:
        if len(made.parts) > MAX_PARTS:
            unit.by = None
        elif unit.kind == "breaks":
            if unit.words != (":",) or made.now.has("term", "topics", "unknown", "modality"):
                made.end_sentence(unit.words[0])
        elif unit.kind == "joins":
            made.close("and" if unit.value == "and" else "but" if unit.value == "but" else "comma")
        else:
            if len(made.now.units) >= MAX_PART_UNITS:
                made.close("break")
            if _starts_part(unit, made.now):
                made.close("negation" if unit.kind == "negations" else "and")
            made.now.units.append(unit)
    return units, _told([part for part in made.parts if part.units], grammar)


def _told(parts: list[Part], grammar: Grammar) -> list[Part]:
    """Return the parts with questions told from orders."""
    for part in parts:
        part.is_question = _is_question(part, grammar)
        _tell_comparatives(part)
    return parts


def _is_question(part: Part, grammar: Grammar) -> bool:
    """Tell a question by its first word, and "too big?" from "make it bigger?"."""
    for at, unit in enumerate(part.units):
        if unit.kind in _ORDERS:
            is_doubt = unit.kind != "find" and unit.value in _DOUBTS
            return part.asked and (is_doubt or unit.words[0] in grammar.questions)
        if unit.words[0] in grammar.questions:
            # "Is wrong" without a question mark leaves out what is.
            return part.asked or not (at < len(part.units) - 1 and _judges(part.units[at + 1]))
        if unit.kind not in ("function", "polite"):
            return False
        if unit.words[0] in _MAKING:
            return False
    return False


def _judges(unit: Unit) -> bool:
    return unit.kind in ("acts", "mild") and unit.value in _JUDGEMENTS


def _tell_comparatives(part: Part) -> None:
    """Read "the bigger polyp" as an order of size, "which is bigger" as a topic, else an act."""
    has_number = part.has("numbers", "amount")
    for at, unit in enumerate(part.units):
        if unit.kind == "thresholds" and part.is_question and not has_number:
            unit.kind, unit.value = "topics", "compare"
        elif unit.kind in ("numbers", "amount") and at and _is_threshold(part.units[at - 1]):
            unit.kind = "thresholds"
        if unit.kind != "comparatives":
            continue
        after = part.units[at + 1] if at + 1 < len(part.units) else None
        is_rank = after is not None and after.kind in _RANKED
        said = [word for one in part.units[max(0, at - 2) : at] for word in one.words]
        # "The larger", "the kidney that is larger".
        is_rank = is_rank or said[-1:] == ["the"] or (at > 1 and said[-2:] in _RELATIVE)
        if is_rank:
            unit.kind, unit.value = "ranks", "largest" if unit.value == "bigger" else "smallest"
        elif part.is_question:
            unit.kind, unit.value = "topics", "compare"
        else:
            unit.kind = "acts"


def _starts_part(unit: Unit, now: Part) -> bool:
    if unit.kind == "negations" and unit.value != "leave":
        return now.has("term", "acts", "ids") and not now.has("topics", "asks")
    acts = now.of("acts")
    return unit.kind == "acts" and bool(acts) and not _joined_acts(acts[-1], unit)


def _is_threshold(unit: Unit) -> bool:
    return unit.kind == "thresholds" and not unit.number


def _joined_acts(first: Unit, second: Unit) -> bool:
    """Tell whether two acts are one wish: "remove the specks", "the merge is wrong"."""
    return (
        first.value == second.value
        or first.value in _OF_THE_THREAD
        or second.value in _OBJECTS_OF_ACTS
        or second.value in _JUDGEMENTS
    )


def _prepared(units: list[Unit], lexicon: Lexicon) -> list[Unit]:
    """Return units with compounds joined, context told from structures, and borders found."""
    units = _joined(_without_tails(units))
    _tell_regions(units)
    _tell_frames(units)
    _find_borders(units)
    _settle(units, lexicon)
    _find_context_numbers(units)
    _tell_no(units)
    _find_wishes_of_looks(units)
    _find_counted_sides(units)
    return units


def _without_tails(units: list[Unit]) -> list[Unit]:
    """Join words to the structure before them that add nothing to its name: "LV cavity"."""
    made: list[Unit] = []
    for unit in units:
        if made and made[-1].kind == "term" and "tails" in unit.roles and unit.kind != "topics":
            made[-1].end = unit.end
        else:
            made.append(unit)
    return made


def _joined(units: list[Unit]) -> list[Unit]:
    """Join neighbours: the head of an English compound is its last word ("liver cyst").

    Two words for the same thing ("polyp lesion") are one thing, called by the first.
    """
    made: list[Unit] = []
    for at, unit in enumerate(units):
        after = units[at + 1] if at + 1 < len(units) else None
        if made and made[-1].kind == unit.kind == "term" and not _names_image(after):
            first = made.pop()
            same = set(first.terms) & set(unit.terms)
            unit.start = first.start
            unit.terms = first.terms if same else unit.terms
            unit.words = (*first.words, *unit.words)
        made.append(unit)
    return made


def _names_image(unit: Unit | None) -> bool:
    return unit is not None and unit.kind in ("modality", "image_words")


def _tell_regions(units: list[Unit]) -> None:
    """Take organs that only say what image it is ("breast ultrasound") for context."""
    terms = [unit for unit in units if unit.kind == "term"]
    for at, unit in enumerate(units):
        if unit.kind != "term":
            continue
        before = units[at - 1] if at else None
        after = units[at + 1] if at + 1 < len(units) else None
        others = any(other.terms != unit.terms for other in terms)
        is_region = "regions" in unit.roles and before is not None and before.kind == "modality"
        if _names_image(after) or (is_region and others):
            unit.kind, unit.by = "context", "context"


def _tell_frames(units: list[Unit]) -> None:
    """Mark the sides that are the image's: "left of the image", not "left lung in the image"."""
    for at, unit in enumerate(units):
        if unit.kind != "sides":
            continue
        after = next((one for one in units[at + 1 : at + 6] if one.kind not in _IMAGE_LINKS), None)
        before = units[at - 1] if at else None
        for one in (after, before):
            if one is not None and one.kind == "image_words":
                one.kind, one.value, one.by = "frames", "image", None
                break


def _find_borders(units: list[Unit]) -> None:
    """Read "touching the border" as a choice."""
    for at, unit in enumerate(units):
        if "border" not in unit.roles:
            continue
        border = _border_after(units, at)
        if border is not None:
            unit.kind, unit.value, unit.by = "border", unit.roles["border"], None
            border.kind, border.by = "function", "function"
        elif unit.kind == "border":
            # "Touching nuclei" touch each other.
            is_look = at + 1 < len(units) and units[at + 1].kind == "term"
            unit.kind, unit.by = ("descriptions", "context") if is_look else ("unsupported", None)


def _border_after(units: list[Unit], at: int) -> Unit | None:
    for other in units[at + 1 : at + 6]:
        if "border_nouns" in other.roles and other.kind != "image_words":
            return other
        if other.kind not in _BORDER_LINKS:
            return None
    return None


def _settle(units: list[Unit], lexicon: Lexicon) -> None:
    """Settle an ambiguous word by another one: "tumor ... liver" is a liver tumor."""
    named = ("term", "context", "unknown", "modality")
    words = [word for unit in units if unit.kind in named for word in unit.words]
    settling = list(dict.fromkeys(words))[:_MAX_SETTLING]
    settled: dict[Words, tuple[Term, ...]] = {}
    for unit in units:
        if unit.kind != "term" or len(unit.terms) == 1:
            continue
        if unit.words not in settled:
            composed = (lexicon.terms_of((word, *unit.words)) for word in settling)
            settled[unit.words] = next((terms for terms in composed if terms), unit.terms)
        unit.terms = settled[unit.words]


def _find_context_numbers(units: list[Unit]) -> None:
    """Take ages, times and laboratory values for context: "57 yo", "PSA 9.4"."""
    for at, unit in enumerate(units):
        if "number_before" in unit.roles and at and units[at - 1].kind == "context":
            # "57 yo f".
            unit.kind, unit.by = "context", "context"
        if unit.kind != "numbers":
            continue
        after = units[at + 1] if at + 1 < len(units) else None
        before = units[at - 1] if at else None
        names = [one for one in (after,) if one is not None and "number_before" in one.roles]
        names += [one for one in (before,) if one is not None and "number_after" in one.roles]
        for name in names:
            name.kind, name.by = "context", "context"
            unit.kind, unit.by = "context", "context"


def _tell_no(units: list[Unit]) -> None:
    """Tell "no, that is the prostate" from "no prostate"."""
    for at, unit in enumerate(units):
        after = units[at + 1].kind if at + 1 < len(units) else "breaks"
        if unit.words == ("no",) and after in ("joins", "breaks"):
            unit.kind, unit.value, unit.by = "mild", "wrong", "function"
        elif unit.words == ("no",) and after in ("pronouns", "function", "acts"):
            unit.kind, unit.by = "function", "function"


def _find_wishes_of_looks(units: list[Unit]) -> None:
    """Tell "in red" and "a second one", which ask for something, from "red" and "the second"."""
    for at in range(1, len(units)):
        before, unit = units[at - 1], units[at]
        after = units[at + 1].kind if at + 1 < len(units) else "breaks"
        is_look = unit.kind == "descriptions" and before.words == ("in",)
        is_another = unit.kind == "ordinals" and before.words in (("a",), ("another",))
        # "Paint the polyp green".
        is_look = is_look or (
            unit.kind == "descriptions"
            and before.kind in ("term", "pronouns", "ids")
            and after == "breaks"
            and any(one.kind == "find" for one in units[:at])
        )
        if is_another or (is_look and after not in ("term", "descriptions", "unknown")):
            unit.kind, unit.by = "unsupported", None


def _find_counted_sides(units: list[Unit]) -> None:
    """Read "the third tooth from the left" as an order."""
    counted = False
    for at, unit in enumerate(units):
        counted = (counted or unit.kind == "ordinals") and unit.kind not in ("breaks", "joins")
        before = [one.words for one in units[max(0, at - 2) : at] if one.words != ("the",)]
        after = units[at + 1].kind if at + 1 < len(units) else "breaks"
        if counted and unit.value in _COUNTED and before[-1:] == [("from",)] and after != "term":
            unit.kind, unit.value = "ranks", _COUNTED[unit.value]
