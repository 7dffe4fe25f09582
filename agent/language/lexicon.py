"""The words of the trade: terms, synonyms, phrases and priors, read from `prompts/lexicon.json`."""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Annotated, Literal

from pydantic import Field

from agent.schemas.plan import MAX_CONCEPT_WORDS
from agent.schemas.runs import MAX_REQUEST_CHARS
from segmenter.contract import Fraction, Frozen

# Marks end a clause; every other sign only separates words.
_TOKEN = re.compile(r"[a-z0-9]+|[,;.:?!]")
_POSSESSIVE = re.compile(r"['\u2019]s\b")
_CONTRACTION = re.compile(r"n['\u2019]t\b")
_BRITISH = (
    (re.compile(r"\btumour"), "tumor"),
    (re.compile(r"oedema"), "edema"),
    (re.compile(r"haem"), "hem"),
    (re.compile(r"\boesoph"), "esoph"),
    (re.compile(r"\bfoet"), "fet"),
    (re.compile(r"\bnaev"), "nev"),
    (re.compile(r"\bleukaem"), "leukem"),
    (re.compile(r"\bischaem"), "ischem"),
    (re.compile(r"\bgrey\b"), "gray"),
    (re.compile(r"colour"), "color"),
    (re.compile(r"\bfibre"), "fiber"),
    (re.compile(r"\bcentre"), "center"),
    (re.compile(r"isation\b"), "ization"),
)
_IRREGULAR = {
    "nuclei": "nucleus",
    "metastases": "metastasis",
    "vertebrae": "vertebra",
    "teeth": "tooth",
    "mitoses": "mitosis",
    "diagnoses": "diagnosis",
    "nevi": "nevus",
    "thrombi": "thrombus",
    "emboli": "embolus",
    "fetuses": "fetus",
    "uteri": "uterus",
    "ovaries": "ovary",
    "calculi": "calculus",
    "atria": "atrium",
    "hemorrhages": "hemorrhage",
    "carcinomata": "carcinoma",
    "sinuses": "sinus",
    "viruses": "virus",
    "abscesses": "abscess",
    "masses": "mass",
    "biopsies": "biopsy",
}
# Words that end in s and are singular, or the same in both numbers.
_SINGULAR_ENDINGS = ("ss", "us", "is", "as")
_PLURAL_AS = {
    "areas": "area",
    "melanomas": "melanoma",
    "carcinomas": "carcinoma",
    "gliomas": "glioma",
}


class Term(Frozen):
    """One entry of the lexicon; `prompts/lexicon.json` explains the fields."""

    label: str
    phrases: Annotated[tuple[str, ...], Field(min_length=1)]
    synonyms: tuple[str, ...]
    modalities: tuple[str, ...]
    area_share: tuple[Fraction, Fraction]
    count: Literal["one", "several", "unknown"]
    paired: bool


class ModalityEntry(Frozen):
    """How a modality is named, and whose left its left is.

    Attributes:
        dicom: codes of the tag (0008,0060).
        words: what requests call it, normalised.
        side: ``patient`` where by convention the patient's left is the image's right.
    """

    dicom: tuple[str, ...]
    words: tuple[str, ...]
    side: Literal["patient", "image"]


class LexiconFile(Frozen):
    """The file as it stands."""

    version: str
    reviewed_by: str | None
    sources: tuple[str, ...]
    fields: dict[str, str]
    modalities: dict[str, ModalityEntry]
    terms: tuple[Term, ...]


@dataclass(frozen=True)
class Lexicon:
    """The file, indexed by normalised words.

    Attributes:
        phrases: words of a phrase -> the terms it may mean, in the order of the file.
        longest: greatest number of words in a phrase.
    """

    file: LexiconFile
    phrases: Mapping[tuple[str, ...], tuple[Term, ...]]
    modality_words: Mapping[tuple[str, ...], str]
    longest: int

    def terms_of(self, words: Sequence[str]) -> tuple[Term, ...]:
        """Return the terms a phrase may mean, () for an unknown one."""
        return self.phrases.get(tuple(words), ())


def normalise(text: str) -> tuple[str, ...]:
    """Turn text into lower-case singular words in American spelling, and clause marks.

    At most `MAX_REQUEST_CHARS` characters are read.
    """
    folded = unicodedata.normalize("NFKC", text[:MAX_REQUEST_CHARS]).casefold()
    folded = _POSSESSIVE.sub("", _CONTRACTION.sub(" not", folded))
    for pattern, american in _BRITISH:
        folded = pattern.sub(american, folded)
    return tuple(singular(token) for token in _TOKEN.findall(folded))


def singular(word: str) -> str:
    """Return the singular of an English noun; other words come back unharmed or nearly so."""
    if word in _IRREGULAR:
        return _IRREGULAR[word]
    if len(word) < 4 or not word.endswith("s"):
        return word
    if word.endswith("mas"):
        return word[:-1]
    if word in _PLURAL_AS:
        return _PLURAL_AS[word]
    if word.endswith(_SINGULAR_ENDINGS):
        return word
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    if word.endswith(("ches", "shes", "xes", "sses")):
        return word[:-2]
    return word[:-1]


@cache
def load_lexicon() -> Lexicon:
    """Read and index the lexicon that is shipped with the code."""
    text = resources.files("prompts").joinpath("lexicon.json").read_text(encoding="utf-8")
    return index_lexicon(LexiconFile.model_validate_json(text))


def index_lexicon(file: LexiconFile) -> Lexicon:
    """Index labels, phrases and synonyms by their normalised words.

    Of several terms under one phrase the one that is called so comes first.
    """
    phrases: defaultdict[tuple[str, ...], list[Term]] = defaultdict(list)
    for term in file.terms:
        for phrase in dict.fromkeys(map(normalise, (term.label, *term.phrases, *term.synonyms))):
            named = phrase == normalise(term.label)
            phrases[phrase].insert(0 if named else len(phrases[phrase]), term)
    words = {
        normalise(word): name for name, entry in file.modalities.items() for word in entry.words
    }
    return Lexicon(
        file=file,
        phrases={phrase: tuple(terms) for phrase, terms in phrases.items()},
        modality_words=words,
        longest=max(map(len, phrases)),
    )


def to_concept(text: str) -> str | None:
    """Return text as an admissible concept, or None if nothing of it is left.

    Lower-case letters, digits, spaces and hyphens, at most three words; whatever else was in it
    is dropped, so a concept can never hold a path, a format string or a sentence.
    """
    folded = unicodedata.normalize("NFKC", text[:MAX_REQUEST_CHARS]).casefold()
    words = [word.strip("-") for word in re.sub(r"[^a-z0-9-]+", " ", folded).split()]
    kept = [word[:MAX_CONCEPT_WORD_CHARS] for word in words if word][:MAX_CONCEPT_WORDS]
    return " ".join(kept) or None


# The longest word of the lexicon has 16 letters; three such words stay under MAX_TEXT_CHARS.
MAX_CONCEPT_WORD_CHARS = 32
