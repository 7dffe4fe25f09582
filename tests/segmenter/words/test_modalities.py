import pytest

from agent.language.lexicon import load_lexicon, normalise
from segmenter.backends.compact.words import load_words
from segmenter.words.modalities import MODALITY_WORDS, modality_words
from segmenter.words.spelling import fold, singular


def test_every_name_means_one_kind_of_picture_and_is_in_its_plain_form() -> None:
    names = [name for words in MODALITY_WORDS.values() for name in words]
    assert len(names) == len(set(names))
    assert names == [" ".join(map(singular, fold(name).split())) for name in names]


@pytest.mark.parametrize("kind", MODALITY_WORDS)
def test_both_the_lexicon_and_the_models_vocabulary_know_the_kind(kind: str) -> None:
    contexts = [word for context in load_words().contexts.values() for word in context.words]
    assert kind in contexts
    known = {load_lexicon().modalities.get(normalise(name)) for name in modality_words(kind)}
    assert len(known) == 1
    assert known != {None}


def test_another_word_stands_for_itself() -> None:
    assert modality_words("flair") == ("flair",)
