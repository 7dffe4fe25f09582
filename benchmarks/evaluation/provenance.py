"""Where figures come from: what was asked of which weights and data, and on what they ran."""

import hashlib
import os
import platform
import subprocess
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from api import VERSION
from benchmarks.evaluation.cases import MANIFEST
from benchmarks.evaluation.records import Frozen, Mode

PACKAGES = ("matplotlib", "monai", "numpy", "onnxruntime", "pillow", "pydantic", "scipy", "torch")
ROOT = Path(__file__).resolve().parents[2]
GIT_TIMEOUT_S = 10.0


class Configuration(Frozen):
    """All that decides the scores; two evaluations that differ here are never mixed.

    Attributes:
        version: of this package.
        backend: kind of the model.
        weights_id: see ``weights_sha256``.
        weights_sha256: of the weights that answered.
        model_threshold: the model's own joint-score threshold, [0, 1].
        threshold: asked with instead, [0, 1]; None for the model's own.
        modes: how every image is asked.
        split: of the manifests; None for a person's own folders.
        data_sha256: by set, of its manifest; of a person's own folders, of names and contents.
        limit: images per set; None for all.
        foreign: questions per image about what its modality rules out.
        phrases: of a prompt study; empty without.
        phrase_of: by concept, where other words than the concept are asked with.
        missing_is_absent: whether an image without mask lacks the target.
        request: words for the agent.
        planner: who plans and judges for the agent; None where it is not asked.
        planner_model: the MLLM's name; None for the rules.
        prompts_version: digest of the texts an MLLM is asked with.
        box_jitter: a moved box's sides are off by up to this share of its size; the draw is
            seeded by the image's name.
    """

    version: str = VERSION
    backend: str
    weights_id: str
    weights_sha256: str
    model_threshold: float
    threshold: float | None
    modes: tuple[Mode, ...]
    split: str | None
    data_sha256: dict[str, str]
    limit: int | None
    foreign: int
    phrases: tuple[str, ...]
    phrase_of: dict[str, str]
    missing_is_absent: bool = False
    request: str
    planner: str | None
    planner_model: str | None
    prompts_version: str
    box_jitter: float


class Environment(Frozen):
    """What it ran on; no names of machines, people or folders.

    Attributes:
        python: version.
        system: operating system and processor architecture.
        cpus: that the process could use.
        packages: versions of those that decide figures, as far as they are installed.
        git: commit of the working tree, ``-dirty`` if changed; None outside of one.
    """

    python: str
    system: str
    cpus: int | None
    packages: dict[str, str]
    git: str | None


class Provenance(Configuration, Environment):
    """Everything beside the figures.

    Attributes:
        started: ISO 8601, UTC.
        answers: that were scored.
        failures: answers that failed.
        fallbacks: steps of the agent that the rules took over from the planner.
        surface_tolerance: of the surface Dice, in pixels, or in mm where the spacing is known.
        bootstrap_seed: of the intervals.
    """

    started: str
    answers: int
    failures: int
    fallbacks: int
    surface_tolerance: float
    bootstrap_seed: int


def look_around() -> Environment:
    """Describe this process's surroundings."""
    return Environment(
        python=platform.python_version(),
        system=f"{platform.system()} {platform.machine()}",
        cpus=_usable_cpus(),
        packages=dict(_versions()),
        git=git_commit(ROOT),
    )


def _usable_cpus() -> int | None:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count()


def _versions() -> Iterable[tuple[str, str]]:
    for name in PACKAGES:
        try:
            yield name, version(name)
        except PackageNotFoundError:
            continue


def git_commit(root: Path) -> str | None:
    """Return the commit of the working tree whose top is ``root``, None if there is none."""
    top = _git(root, "rev-parse", "--show-toplevel")
    if top is None or Path(top).resolve() != root.resolve():
        return None
    return _git(root, "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*")


def _git(root: Path, *words: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(root), *words],
            capture_output=True,
            text=True,
            timeout=GIT_TIMEOUT_S,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() or None


def manifests_sha256(root: Path, names: Iterable[str]) -> dict[str, str]:
    """Return the sha256 of each set's manifest, as hexadecimal digits."""
    return {name: _sha256([root / name / MANIFEST]) for name in names}


def files_sha256(paths: Iterable[Path]) -> str:
    """Return one sha256 of the names and contents of files, as hexadecimal digits."""
    return _sha256(paths, named=True)


def _sha256(paths: Iterable[Path], *, named: bool = False) -> str:
    digest = hashlib.sha256()
    for path in paths:
        content = path.read_bytes()
        if named:
            digest.update(f"{path.name}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()
