from segmenter.words.phrases import PhraseTable

TABLE = PhraseTable({("optic", "disc"): "disc", ("optic",): "eye", ("cup", "of", "tea"): "tea"})


def test_the_longest_phrase_is_found() -> None:
    words = ("the", "optic", "disc", "and", "optic", "cup", "of")
    assert list(TABLE.find(words)) == [(1, 3, "disc"), (4, 5, "eye")]
    assert TABLE.find_at(words, 5) is None


def test_a_table_without_phrases_finds_nothing() -> None:
    assert list(PhraseTable[str]({}).find(("optic",))) == []
    assert TABLE.get(("tea",)) is None
