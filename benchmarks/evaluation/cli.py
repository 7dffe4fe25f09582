"""``medsam3 evaluate``: the parser; the work is in `benchmarks`, which needs extra packages."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from api.bootstrap.backends import WeightsFault
from api.bootstrap.setup import Setup
from api.cli.output import Commands, UsageFault
from api.settings import Settings
from segmenter.backends.compact.backend import CompactBackend

if TYPE_CHECKING:
    from benchmarks.evaluation.command import Options
    from benchmarks.evaluation.records import Mode

MODES: "tuple[Mode, ...]" = ("T", "T+I", "T+I moved", "box", "agent")
# The agent may cost money and takes several times as long, so it is asked by name only.
ALL = MODES[:-1]
SPLITS = ("train", "validation", "test", "holdout")
PLANNERS = ("auto", "rules", "gemini", "openai")
BACKENDS = get_args(Settings.model_fields["backend"].annotation)
EXTRA = "pip install 'medsam3-agent[evaluate]'"
OURS = ("agent", "api", "benchmarks", "prompts", "segmenter")


def add_commands(commands: Commands) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "evaluate",
        help="measure the service on annotated images",
        description="Ask the service about annotated images and report how well it answers."
        " The same command again goes on where it was stopped.",
    )
    _add_data(parser)
    _add_questions(parser)
    parser.add_argument("--restart", action="store_true", help="forget what --out holds")
    parser.add_argument("--no-pictures", action="store_true", help="draw no contact sheets")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    parser.set_defaults(run=run_evaluate)


def _add_data(parser: argparse.ArgumentParser) -> None:
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--data", type=Path, metavar="DIR", help="folder of <set>/manifest.csv")
    source.add_argument("--images", type=Path, metavar="DIR", help="your own images")
    parser.add_argument("--masks", type=Path, metavar="DIR", help="their masks, by name")
    parser.add_argument(
        "--missing-is-absent", action="store_true", help="an image without mask lacks the target"
    )
    parser.add_argument("--sets", nargs="+", metavar="SET", help="all of --data by default")
    parser.add_argument("--split", choices=SPLITS, default="test")
    parser.add_argument("--limit", type=int, metavar="N", help="images per set")


def _add_questions(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--mode", nargs="+", choices=(*MODES, "all"), default=["T"], help="all: all but agent"
    )
    parser.add_argument("--backend", choices=BACKENDS, help="the settings' own by default")
    parser.add_argument(
        "--weights", type=Path, metavar="DIR", help="of the compact model, not the bundled ones"
    )
    parser.add_argument("--planner", choices=PLANNERS, default="auto", help="of the agent")
    parser.add_argument(
        "--foreign", type=int, default=0, metavar="N", help="questions per image that must be no"
    )
    parser.add_argument(
        "--phrase",
        nargs="+",
        default=[],
        metavar="[CONCEPT=]PHRASE",
        help="other words for a concept; what to ask for in --images",
    )
    parser.add_argument(
        "--phrases", nargs="+", default=[], metavar="PHRASE", help="ask every image with each"
    )
    parser.add_argument("--request", default="Segment the {phrase}.", help="words for the agent")
    parser.add_argument(
        "--box-jitter", type=float, default=0.25, metavar="SHARE", help="of T+I moved"
    )
    parser.add_argument("--threshold", type=float, help="drop masks whose score is below it")


def run_evaluate(arguments: argparse.Namespace, setup: Setup) -> int:
    """Run an evaluation.

    Raises:
        UsageFault: a package is missing, or the options do not go together.
    """
    try:
        from benchmarks.evaluation.command import evaluate
    except ModuleNotFoundError as error:
        name = (error.name or "").split(".")[0]
        if name in OURS:
            raise
        raise UsageFault(f"evaluating needs the package {name}: {EXTRA}") from error
    return evaluate(to_options(arguments), _with_model(setup, arguments.backend, arguments.weights))


def _with_model(setup: Setup, backend: str | None, weights: Path | None) -> Setup:
    settings = setup.settings.model_copy(update={"backend": backend or setup.settings.backend})
    if weights is None:
        return Setup(settings, setup.load)
    if settings.backend != "compact":
        raise UsageFault("--weights goes with --backend compact")
    return Setup(settings, lambda _: _load_weights(weights))


def _load_weights(folder: Path) -> CompactBackend:
    try:
        return CompactBackend(folder)
    except (OSError, ValueError) as error:
        raise WeightsFault(f"no usable weights in {folder}: {error}") from error


def to_options(arguments: argparse.Namespace) -> "Options":
    """Read the command line.

    Raises:
        UsageFault: options that do not go together.
    """
    from benchmarks.evaluation.command import Options

    plain, by_concept = split_phrases(arguments.phrase)
    if arguments.images is not None and (arguments.sets or arguments.phrases or by_concept):
        raise UsageFault("--images goes with one --phrase, and without --sets and --phrases")
    if arguments.data is not None and (arguments.masks or arguments.missing_is_absent or plain):
        raise UsageFault(
            "--data goes with --phrase CONCEPT=PHRASE, and without --masks and --missing-is-absent"
        )
    return Options(
        data=arguments.data,
        sets=arguments.sets,
        split=arguments.split,
        images=arguments.images,
        masks=arguments.masks,
        missing_is_absent=arguments.missing_is_absent,
        phrases=tuple(arguments.phrases or plain),
        phrase_of=by_concept,
        modes=tuple(mode for mode in MODES if mode in _modes(arguments.mode)),
        planner=arguments.planner,
        limit=arguments.limit,
        foreign=arguments.foreign,
        request=arguments.request,
        box_jitter=arguments.box_jitter,
        threshold=arguments.threshold,
        restart=arguments.restart,
        pictures=not arguments.no_pictures,
        out=arguments.out,
    )


def _modes(asked: list[str]) -> set[str]:
    return set(asked) | (set(ALL) if "all" in asked else set())


def split_phrases(phrases: list[str]) -> tuple[list[str], dict[str, str]]:
    """Tell plain phrases from ``CONCEPT=PHRASE``.

    Raises:
        UsageFault: a side of a pair is blank, or a concept is named twice.
    """
    plain = [phrase for phrase in phrases if "=" not in phrase]
    by_concept: dict[str, str] = {}
    for concept, _, phrase in (pair.partition("=") for pair in phrases if "=" in pair):
        if not concept.strip() or not phrase.strip() or concept in by_concept:
            raise UsageFault("--phrase takes CONCEPT=PHRASE, each concept once")
        by_concept[concept] = phrase
    return plain, by_concept
