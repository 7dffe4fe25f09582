"""Brings words into one form: lower case, American spelling, singular. Pure."""

import re
import unicodedata

_POSSESSIVE = re.compile(r"['\u2019]s\b")
_CONTRACTION = re.compile(r"n['\u2019]t\b")


def _pairs(text: str) -> dict[str, str]:
    return dict(map(str.split, text.split(", ")))


_AMERICAN = _pairs(
    "tumour tumor, oedema edema, haem hem, aemi emi, rrhoe rrhe, oesoph esoph, foet fet, naev nev, "
    "disk disc, grey gray, colour color, fibre fiber, centre center, isation ization"
)
_BRITISH = re.compile("|".join(_AMERICAN))
IRREGULAR_PLURALS = _pairs(
    "adenomata adenoma, atria atrium, calculi calculus, carcinomata carcinoma, "
    "diagnoses diagnosis, emboli embolus, fetuses fetus, foci focus, keratoses keratosis, "
    "melanomata melanoma, metastases metastasis, mitoses mitosis, nevi nevus, nuclei nucleus, "
    "papillae papilla, retinae retina, sinuses sinus, teeth tooth, thrombi thrombus, "
    "uteri uterus, vertebrae vertebra, viruses virus"
)
_SINGULAR_ENDINGS = ("ss", "us", "is")
_SINGULAR_IN_AS = frozenset({"atlas", "bias", "canvas", "pancreas", "psoas", "whereas"})
_PLURALS_IN_ES = ("ches", "shes", "xes", "sses")


def plain(text: str) -> str:
    """Return text in lower case, without accents and ligatures."""
    if text.isascii():
        return text.lower()
    decomposed = unicodedata.normalize("NFKD", text).casefold()
    return "".join(sign for sign in decomposed if not unicodedata.combining(sign))


def fold(text: str) -> str:
    """Return plain text in American spelling, without possessives; "don't" becomes "do not"."""
    whole = _CONTRACTION.sub(" not", _POSSESSIVE.sub("", plain(text)))
    return _BRITISH.sub(lambda found: _AMERICAN[found[0]], whole)


def singular(word: str) -> str:
    """Return the singular of an English noun; other words come back unharmed or nearly so."""
    if word in IRREGULAR_PLURALS:
        return IRREGULAR_PLURALS[word]
    if len(word) < 4 or not word.endswith("s"):
        return word
    if word.endswith(_SINGULAR_ENDINGS) or word in _SINGULAR_IN_AS:
        return word
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    return word[:-2] if word.endswith(_PLURALS_IN_ES) else word[:-1]
