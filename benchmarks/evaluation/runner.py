"""Asks the service about every image, one at a time, and scores each answer as it comes.

A question that fails is a failed score and the run goes on; nothing of an image is kept after it.
"""

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple, TypeVar

from pydantic import ValidationError
from tqdm import tqdm

from agent.errors import AgentError
from api.bootstrap.parts import AppServices
from api.errors import ApiError, InvalidFields
from benchmarks.evaluation.asking import Manner, Reply, ask
from benchmarks.evaluation.metrics import score_answer
from benchmarks.evaluation.records import MODES, Case, Mode, Score
from benchmarks.evaluation.store import Key, Store
from benchmarks.evaluation.truth import Truth, read_truth
from segmenter.contract import BinaryMask
from segmenter.errors import SegmenterError
from segmenter.masks import rle
from segmenter.masks.geometry import unite

FAULTS = (SegmenterError, AgentError, ApiError, OSError, ValueError)
# They draw on the truth, so a question without target cannot be asked in them.
BOXED: frozenset[Mode] = frozenset({"T+I", "T+I moved", "box"})
# Where no bar can be drawn: a line as often as this many images.
LINE_EVERY = 50
ImageT = TypeVar("ImageT")


class Asked(NamedTuple):
    """One concept of one image.

    Attributes:
        foreign: whether the modality rules it out.
    """

    case: Case
    foreign: bool


class Work(NamedTuple):
    """Everything to be asked.

    Attributes:
        modes: in which every question is asked that can be.
    """

    asked: Sequence[Asked]
    modes: tuple[Mode, ...]
    manner: Manner


async def run(parts: AppServices, work: Work, store: Store) -> None:
    """Ask what the store does not have yet.

    Raises:
        PlannerNotConfigured, OSError: nothing more can be asked, or kept.
    """
    images = list(by_image(work.asked).values())
    for asked in _shown(images):
        await _run_image(parts, asked, work, store)


def by_image(asked: Iterable[Asked]) -> Mapping[tuple[str, str], list[Asked]]:
    """Gather the questions of each image, in the order of their first ones."""
    images: dict[tuple[str, str], list[Asked]] = {}
    for question in asked:
        images.setdefault((question.case.dataset, question.case.image_id), []).append(question)
    return images


def modes_for(modes: Iterable[Mode], *, has_target: bool) -> list[Mode]:
    """Return the modes a question can be asked in."""
    wanted = set(modes)
    return [mode for mode in MODES if mode in wanted and (has_target or mode not in BOXED)]


async def _run_image(parts: AppServices, asked: Sequence[Asked], work: Work, store: Store) -> None:
    try:
        content = asked[0].case.image.read_bytes()
        ref = await parts.images.put(content)
    except FAULTS as error:
        _fail(asked, work.modes, store, error)
        return
    for question in asked:
        try:
            truth = read_truth(question.case, (ref.height, ref.width))
        except FAULTS as error:
            _fail([question], work.modes, store, error)
            continue
        for mode in modes_for(work.modes, has_target=bool(truth.target.any())):
            if to_key(question, mode) not in store:
                # Decoding is part of an answer's time, so no question finds its image stored.
                await parts.images.delete(ref)
                await _run_question(parts, content, question, truth, mode, work.manner, store)
    await parts.images.delete(ref)


async def _run_question(
    parts: AppServices,
    content: bytes,
    question: Asked,
    truth: Truth,
    mode: Mode,
    manner: Manner,
    store: Store,
) -> None:
    try:
        reply = await ask(parts, content, question.case, truth.target, mode, manner)
        masks = [rle.decode(mask) for mask in reply.masks]
        score = to_score(question, mode, truth, reply, masks)
    except FAULTS as error:
        has_target = bool(truth.target.any())
        store.add(failed(question, mode, has_target=has_target, reason=tell(error)), None)
        return
    union = rle.encode(unite(masks, masks[0].shape)) if masks else None
    store.add(score, union, fallbacks=reply.fallbacks)


def to_score(
    question: Asked, mode: Mode, truth: Truth, reply: Reply, masks: Sequence[BinaryMask]
) -> Score:
    """Return an answer beside the truth; a failed one has no figures."""
    has_target = bool(truth.target.any())
    if reply.status == "failed":
        return failed(question, mode, has_target=has_target, reason=reply.error or "the run failed")
    figures = score_answer(
        list(masks), truth.target, labels=truth.labels, spacing=question.case.spacing
    )
    return Score(
        **_named(question, mode),
        **figures._asdict(),
        has_target=has_target,
        found=bool(masks),
        status=reply.status,
        presence=reply.presence,
        score=reply.score,
        expected_dice=reply.expected_dice,
        seconds=reply.seconds,
        rounds=reply.rounds,
    )


def failed(question: Asked, mode: Mode, *, has_target: bool, reason: str) -> Score:
    """Return the score of an answer that failed."""
    return Score(
        **_named(question, mode), has_target=has_target, found=False, status="failed", error=reason
    )


def _fail(asked: Sequence[Asked], modes: Sequence[Mode], store: Store, error: Exception) -> None:
    """Note that questions failed before it was known whether there is a target."""
    for question in asked:
        for mode in modes_for(modes, has_target=question.case.mask is not None):
            store.add(failed(question, mode, has_target=False, reason=tell(error)), None)


def to_key(question: Asked, mode: Mode) -> Key:
    """Return what a score of this question is kept under."""
    case = question.case
    return Key(case.dataset, case.image_id, case.concept, case.phrase, mode, question.foreign)


def _named(question: Asked, mode: Mode) -> dict[str, object]:
    return {**to_key(question, mode)._asdict(), "group": question.case.group}


def tell(error: Exception) -> str:
    """Say in one line what went wrong, without the folder a file is in."""
    name = type(error).__name__
    if isinstance(error, OSError) and error.strerror:
        return f"{name}: {error.strerror}"
    if isinstance(error, InvalidFields):
        return f"{name}: " + "; ".join(f"{fault.field}: {fault.message}" for fault in error.faults)
    if isinstance(error, ValidationError):
        return f"{name}: " + "; ".join(
            f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors()
        )
    return f"{name}: {' '.join(str(error).split())}"


def _shown(images: Sequence[ImageT]) -> Iterator[ImageT]:
    """Yield the images and show on stderr how far it is."""
    if sys.stderr.isatty():
        yield from tqdm(images, unit="image", file=sys.stderr)
        return
    for number, image in enumerate(images, start=1):
        yield image
        if number % LINE_EVERY == 0 or number == len(images):
            print(f"{number} of {len(images)} images", file=sys.stderr, flush=True)
