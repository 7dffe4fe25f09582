"""Which pictures of a folder are done, so that a second run does only the rest.

The folder of a picture's result holds, written last, a digest of all that the result depends on.
"""

import hashlib
import json
import os
from collections.abc import Collection, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, Field, ValidationError

from api import VERSION
from api.bootstrap.planners import describe
from api.cli import result_files
from api.schemas.requests import AgentBody
from api.schemas.run_answers import RunAnswer
from api.settings import Settings
from segmenter.contract import ModelInfo

DONE = "done.json"
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Done(BaseModel):
    """That a picture is done.

    Attributes:
        task: digest of what was asked of which picture and model.
        folder: digest of the path of the folder that the picture was in.
    """

    task: Digest
    folder: Digest


def question_of(body: AgentBody, settings: Settings, model: ModelInfo, prompts: str) -> str:
    """Write down what is asked, of whom: all that a result depends on but the picture.

    Args:
        body: request and options.
        settings: name the MLLM.
        model: with the digest of its weights.
        prompts: their version.
    """
    kind = settings.planner if body.planner == "auto" else body.planner
    planner = kind if kind == "rules" else f"{kind}: {describe(settings, kind)}"
    parts = [VERSION, body.model_dump(mode="json"), planner, prompts, model.model_dump(mode="json")]
    return json.dumps(parts)


def to_done(question: str, content: bytes, folder: Path) -> Done:
    """Return the mark of a picture's result."""
    picture = hashlib.sha256(content).hexdigest()
    task = hashlib.sha256(f"{question}\n{picture}".encode()).hexdigest()
    return Done(task=task, folder=hashlib.sha256(os.fsencode(folder.resolve())).hexdigest())


def finished(place: Path, done: Done) -> RunAnswer | None:
    """Return the result in a picture's folder if it is whole and of this very task."""
    try:
        if _read(place).task != done.task or not result_files.is_whole(place):
            return None
        return RunAnswer.model_validate_json((place / result_files.RESULT).read_bytes())
    except (OSError, ValidationError):
        return None


def forget(place: Path) -> None:
    """Remove what an earlier run of ours wrote of a picture, and the folder if nothing is left."""
    result_files.remove(place, result_files.names_in(place))
    unmark(place)
    with suppress(OSError):
        place.rmdir()


def mark(place: Path, done: Done) -> None:
    """Write that a picture is done."""
    (place / DONE).write_bytes(result_files.to_json(done))


def unmark(place: Path) -> None:
    """Take the mark away while the result is written anew."""
    with suppress(OSError, ValidationError):
        _read(place)
        (place / DONE).unlink()


def forget_gone(results: Path, folder: Path, pictures: Collection[Path]) -> Iterator[Path]:
    """Forget results of pictures that are not in their folder any more; yields their paths."""
    of = hashlib.sha256(os.fsencode(folder.resolve())).hexdigest()
    for inside, _, names in os.walk(results):
        place = Path(inside)
        path = place.relative_to(results)
        if DONE in names and path not in pictures and _is_of(place, of):
            forget(place)
            yield path


def _is_of(place: Path, folder: str) -> bool:
    try:
        return _read(place).folder == folder
    except (OSError, ValidationError):
        return False


def _read(place: Path) -> Done:
    return Done.model_validate_json((place / DONE).read_bytes())
