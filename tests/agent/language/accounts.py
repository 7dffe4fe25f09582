"""Says which words of a request an intent leaves unaccounted for."""

from collections.abc import Iterator

from agent.language.grammar import load_grammar
from agent.language.lexicon import load_lexicon
from agent.language.request import Reading, ReadWord
from agent.schemas.intent import Intent

LEXICON, GRAMMAR = load_lexicon(), load_grammar()
LISTED = (
    GRAMMAR.phrases.words()
    | LEXICON.phrases.words()
    | LEXICON.modalities.words()
    | {word for first, pairs in GRAMMAR.gaps.items() for word in first}
    | {word for pairs in GRAMMAR.gaps.values() for last, _ in pairs for word in last}
)


def unaccounted(text: str, reading: Reading) -> list[str]:
    """Return the words that are neither in the intent nor named as not understood."""
    return [
        f"{word.token.word} ({word.by})"
        for word in reading.words
        if any(sign.isalnum() for sign in word.token.word) and not _is_told(text, word, reading)
    ]


def _is_told(text: str, word: ReadWord, reading: Reading) -> bool:
    intent, typed = reading.intent, text[word.token.start : word.token.end]
    # An id in what is to stay as it is: "do not touch m1".
    is_id = word.token.word[:1] == "m" and word.token.word[1:].isdigit()
    is_listed = word.token.word in LISTED or word.token.word.isdigit() or is_id
    match word.by:
        case None:
            return any(typed in part and part in text for part in intent.not_understood)
        case "context":
            is_number = word.token.word.replace(".", "").isdigit()
            return any(typed in part for part in intent.context) and (is_listed or is_number)
        case "function":
            return is_listed
        case "thing":
            return bool(list(_things(intent)))
        case "operation":
            return bool(intent.operations or intent.find)
        case "question":
            return bool(intent.questions)
        case "talk":
            return intent.talk is not None


def _things(intent: Intent) -> Iterator[object]:
    yield from intent.find
    for done in intent.operations:
        yield from (*done.things, *done.minus)
    for question in intent.questions:
        yield from question.things


def named(intent: Intent) -> str:
    """Return all words of the structures an intent names, and what it did not understand."""
    things = list(_things(intent))
    words = [f"{getattr(one, 'words', '')} {getattr(one, 'where', '')}" for one in things]
    return " ".join([*words, *intent.not_understood])
