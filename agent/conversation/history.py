"""What a request does to a thread's past: undo and redo. Pure."""

from typing import Literal

from agent.language.lexicon import load_lexicon
from agent.language.request import read_request
from agent.schemas.intent import Intent
from agent.schemas.runs import ThreadRecord

# A run's start holds its thread and what an undo took away; the store takes 16 MiB a record.
MAX_UNDONE_BYTES = 2 * 1024 * 1024


def act_of(request: str, thread: ThreadRecord) -> Literal["undo", "redo"] | None:
    """Tell whether a request takes back what the last one did, or the last undo."""
    if not thread.runs:
        return None
    acts = {operation.act for operation in read_request(request, load_lexicon()).operations}
    if "undo" in acts:
        return "undo"
    return "redo" if "redo" in acts else None


def is_only_that(request: str) -> bool:
    """Tell whether an undo or redo asks for nothing else."""
    intent = beside_history(read_request(request, load_lexicon()))
    return not (intent.find or intent.operations)


def beside_history(intent: Intent) -> Intent:
    """Return what an intent asks for beside undo and redo, whose words name nothing to find."""
    said = " ".join(operation.words for operation in intent.acts("undo", "redo")).lower()
    return intent.model_copy(
        update={
            "find": tuple(thing for thing in intent.find if not said or thing.words not in said),
            "operations": tuple(
                one for one in intent.operations if one.act not in ("undo", "redo")
            ),
        }
    )


def shown_by(thread: ThreadRecord) -> ThreadRecord:
    """Return what of a thread a redo brings back: its targets, and what was said of them."""
    return thread.model_copy(
        update={"candidates": (), "runs": (), "requests": (), "tried": (), "redoable": ()}
    )


def is_kept(thread: ThreadRecord) -> bool:
    """Tell whether what a thread shows is small enough to be kept for a redo."""
    return len(shown_by(thread).model_dump_json()) <= MAX_UNDONE_BYTES
