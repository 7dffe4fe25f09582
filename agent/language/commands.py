"""Tells the orders that are carried out before a run. Pure."""

from agent.language.lexicon import load_lexicon
from agent.language.request import read_request
from agent.schemas.intent import Operation


def is_undo(text: str) -> bool:
    """Tell whether a follow-up takes the last run back, and asks for nothing else."""
    intent = read_request(text, load_lexicon())
    asks = intent.find or intent.questions or intent.not_understood
    said = [done.model_copy(update={"words": ""}) for done in intent.operations]
    return not asks and said == [Operation(act="undo")]
