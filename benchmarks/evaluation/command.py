"""``medsam3 evaluate``: asks the service about annotated images and reports how well it answers."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from agent.errors import PlannerNotConfigured
from agent.planners.prompts import PROMPTS_VERSION
from api.bootstrap.parts import AppServices, open_parts
from api.bootstrap.setup import Setup
from api.cli.output import UsageFault, say
from api.settings import Settings
from benchmarks.evaluation.asking import MAX_JITTER, PHRASE, Manner, Planner
from benchmarks.evaluation.cases import (
    first_images,
    foreign_cases,
    read_cases,
    set_names,
    with_phrases,
)
from benchmarks.evaluation.own import OWN_SET, own_cases
from benchmarks.evaluation.provenance import (
    Configuration,
    files_sha256,
    manifests_sha256,
)
from benchmarks.evaluation.records import Case, Mode
from benchmarks.evaluation.reporting import report
from benchmarks.evaluation.runner import Asked, Work, run
from benchmarks.evaluation.store import Store, open_store
from segmenter.contract import Capabilities

CAPABILITIES_TIMEOUT_S = 20.0


class Options(NamedTuple):
    """What was asked for on the command line.

    Attributes:
        data: data folder; None with ``images``.
        sets: of the data folder; None for all.
        split: of the data folder.
        images: a person's own folder.
        masks: belongs to ``images``.
        missing_is_absent: belongs to ``images``.
        phrases: of a prompt study; empty without.
        phrase_of: by concept, the words to ask with.
        limit: images per set; None for all.
        foreign: questions per image about what its modality rules out.
    """

    data: Path | None
    sets: Sequence[str] | None
    split: str
    images: Path | None
    masks: Path | None
    missing_is_absent: bool
    phrases: tuple[str, ...]
    phrase_of: dict[str, str]
    modes: tuple[Mode, ...]
    planner: Planner
    limit: int | None
    foreign: int
    request: str
    box_jitter: float
    threshold: float | None
    restart: bool
    pictures: bool
    out: Path


class Questions(NamedTuple):
    """What is asked, and a digest of where it comes from."""

    asked: list[Asked]
    data_sha256: dict[str, str]


def evaluate(options: Options, setup: Setup) -> int:
    """Run an evaluation, or go on with it, and return the exit code.

    Raises:
        UsageFault: the data cannot be used, or the folder holds something else.
        PlannerNotConfigured, WeightsFault, SegmenterError: nothing can be asked.
    """
    check(options)
    questions = read_questions(options)
    store = asyncio.run(_ask_all(options, questions, setup.embedded()))
    return report(
        options.out,
        store,
        [question.case for question in questions.asked],
        pictures=options.pictures,
        beside_the_paper=options.images is None,
    )


def check(options: Options) -> None:
    """Refuse what cannot be asked.

    Raises:
        UsageFault.
    """
    if not 0.0 <= options.box_jitter < MAX_JITTER:
        raise UsageFault(f"--box-jitter must be at least 0 and below {MAX_JITTER}")
    if options.threshold is not None and not 0.0 <= options.threshold <= 1.0:
        raise UsageFault("--threshold must be from 0 to 1")
    if (options.limit is not None and options.limit < 1) or options.foreign < 0:
        raise UsageFault("--limit must be at least 1 and --foreign at least 0")
    if PHRASE not in options.request:
        raise UsageFault(f"--request must hold {PHRASE}")


def read_questions(options: Options) -> Questions:
    """Gather the cases, in the words they are asked with.

    Raises:
        UsageFault: see `benchmarks.evaluation.cases`.
    """
    cases, data_sha256 = _own(options) if options.images else _shared(options)
    cases = first_images(cases, options.limit)
    asked = with_phrases(cases, options.phrases, options.phrase_of)
    strange = foreign_cases(cases, options.foreign) if options.foreign else []
    return Questions(
        [Asked(case, False) for case in asked] + [Asked(case, True) for case in strange],
        data_sha256,
    )


def _shared(options: Options) -> tuple[list[Case], dict[str, str]]:
    if options.data is None:
        raise UsageFault("give --data, or --images with --masks and --phrase")
    names = set_names(options.data, options.sets)
    cases = read_cases(options.data, names, options.split)
    return cases, manifests_sha256(options.data, names)


def _own(options: Options) -> tuple[list[Case], dict[str, str]]:
    if options.images is None or options.masks is None or len(options.phrases) != 1:
        raise UsageFault("--images needs --masks and one --phrase")
    cases = own_cases(
        options.images,
        options.masks,
        options.phrases[0],
        missing_is_absent=options.missing_is_absent,
    )
    files = [path for case in cases for path in (case.image, case.mask) if path is not None]
    return cases, {OWN_SET: files_sha256(files)}


async def _ask_all(options: Options, questions: Questions, setup: Setup) -> Store:
    say("loading the model")
    async with open_parts(setup) as parts:
        planner = _planner(options, setup.settings, parts)
        known = await parts.segmenter.capabilities(timeout_s=CAPABILITIES_TIMEOUT_S)
        configuration = configure(
            options, questions, known, planner=planner, settings=setup.settings
        )
        started = datetime.now(UTC).isoformat(timespec="seconds")
        store = open_store(options.out, configuration, started=started, restart=options.restart)
        manner = Manner(
            request=options.request,
            planner=planner or "rules",
            threshold=options.threshold,
            box_jitter=options.box_jitter,
            timeout_s=setup.settings.segment_timeout_s,
        )
        await run(parts, Work(questions.asked, options.modes, manner), store)
    return store


def _planner(options: Options, settings: Settings, parts: AppServices) -> Planner | None:
    """Name who plans; None where the agent is not asked."""
    if "agent" not in options.modes:
        return None
    planner: Planner = settings.planner if options.planner == "auto" else options.planner
    if planner not in parts.planners:
        raise PlannerNotConfigured(f"planner {planner!r} has no model or key")
    return planner


def configure(
    options: Options,
    questions: Questions,
    known: Capabilities,
    *,
    planner: Planner | None,
    settings: Settings,
) -> Configuration:
    """Write down all that decides the scores."""
    models = {"gemini": settings.gemini_model, "openai": settings.openai_model}
    return Configuration(
        backend=known.model.kind,
        weights_id=known.model.weights_id,
        weights_sha256=known.model.weights_sha256,
        model_threshold=known.threshold,
        threshold=options.threshold,
        modes=options.modes,
        split=options.split if options.images is None else None,
        data_sha256=questions.data_sha256,
        limit=options.limit,
        foreign=options.foreign,
        phrases=options.phrases,
        phrase_of=options.phrase_of,
        missing_is_absent=options.missing_is_absent,
        request=options.request,
        planner=planner,
        planner_model=models.get(planner or ""),
        prompts_version=PROMPTS_VERSION,
        box_jitter=options.box_jitter,
    )
