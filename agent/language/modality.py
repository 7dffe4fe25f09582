"""Which modality an image is of: by its tag, else the request, else simple image facts."""

from agent.language.lexicon import Lexicon, normalise
from segmenter.words.phrases import Words

UNKNOWN = "unknown"


def modality_of_tag(tag: str | None, lexicon: Lexicon) -> str:
    """Return our name of a DICOM modality code, `UNKNOWN` for none or another."""
    code = (tag or "").strip().upper()
    for name, entry in lexicon.file.modalities.items():
        if code in entry.dicom or code == name.upper():
            return name
    return UNKNOWN


def modality_of_name(name: str, lexicon: Lexicon) -> str:
    """Return our name of a modality, however a model spells it; `UNKNOWN` for none of ours."""
    folded = name.strip().casefold()
    if folded in lexicon.file.modalities:
        return folded
    return known_modality(
        modality_of_words(normalise(name), lexicon), modality_of_tag(name, lexicon)
    )


def known_modality(*names: str) -> str:
    """Return the first name that is not `UNKNOWN`."""
    return next((name for name in names if name != UNKNOWN), UNKNOWN)


def modality_of_words(words: Words, lexicon: Lexicon) -> str:
    """Return the modality a request names first, `UNKNOWN` for none."""
    return next((found.meaning for found in lexicon.modalities.find(words)), UNKNOWN)
