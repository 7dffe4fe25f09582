"""Reads what a model card is made of; what is missing is an error, never a default."""

import csv
import json
import re
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import BaseModel, ConfigDict, ValidationError

from benchmarks.evaluation.operating import Curve, curves
from benchmarks.evaluation.records import Score, SummaryRow

GRAPHS = ("encoder.onnx", "decoder.onnx")
_TIMING = re.compile(r"(?P<name>\S.*?)\s{2,}(?P<median>[\d.]+)\s+(?P<worst>[\d.]+)")


class CardError(Exception):
    """A source of the card is missing or says something else than expected."""


class Training(BaseModel):
    """What training.json says; fields that the card does not name are passed over."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    data_sha256: str
    parameters: int


class Sources(NamedTuple):
    """All that the card says.

    Attributes:
        rows: of the test split's summary.
        validation: scores of the validation images.
        curves: of the test images asked for what is absent in some, at every threshold.
        training: from training.json.
        training_text: training.json as it is.
        weights_id: from metadata.json.
        concepts: that the model answers, in its order.
        megabytes: of both graphs, 10^6 bytes.
        timings: median milliseconds by what was timed.
        latency_text: the benchmark's output as it is.
        datasets: lines of datasets.csv.
    """

    rows: list[SummaryRow]
    validation: list[Score]
    curves: list[Curve]
    training: Training
    training_text: str
    weights_id: str
    concepts: list[str]
    megabytes: float
    timings: dict[str, float]
    latency_text: str
    datasets: list[dict[str, str]]


def read_sources(
    evaluation: Path,
    validation: Path,
    absence: Path,
    latency: Path,
    *,
    weights: Path,
    datasets: Path,
) -> Sources:
    """Read everything.

    Args:
        evaluation: folder of the test split's evaluation.
        validation: folder of the validation images' evaluation.
        absence: folder of the test split's evaluation in words with threshold 0.
        latency: output of ``python -m benchmarks.latency``.
        weights: folder with graphs, metadata.json and training.json.
        datasets: datasets.csv of the image data.

    Raises:
        CardError: a file is missing or not as expected.
    """
    try:
        return _read(evaluation, validation, absence, latency, weights=weights, datasets=datasets)
    except (OSError, ValidationError, KeyError, ValueError) as error:
        raise CardError(f"the card cannot be written: {error}") from error


def _read(
    evaluation: Path,
    validation: Path,
    absence: Path,
    latency: Path,
    *,
    weights: Path,
    datasets: Path,
) -> Sources:
    summary: dict[str, Any] = json.loads((evaluation / "summary.json").read_text("utf-8"))
    metadata: dict[str, Any] = json.loads((weights / "metadata.json").read_text("utf-8"))
    training_text = (weights / "training.json").read_text("utf-8")
    latency_text = latency.read_text("utf-8")
    with datasets.open(newline="", encoding="utf-8") as table:
        licences = list(csv.DictReader(table))
    return Sources(
        rows=[SummaryRow.model_validate(row) for row in summary["rows"]],
        validation=_scores(validation),
        curves=curves(_scores(absence)),
        training=Training.model_validate_json(training_text),
        training_text=training_text,
        weights_id=metadata["weights_id"],
        concepts=[concept["name"] for concept in metadata["concepts"]],
        megabytes=sum((weights / name).stat().st_size for name in GRAPHS) / 1e6,
        timings=read_timings(latency_text),
        latency_text=latency_text,
        datasets=licences,
    )


def _scores(folder: Path) -> list[Score]:
    lines = (folder / "scores.jsonl").read_text("utf-8").splitlines()
    return [Score.model_validate_json(line) for line in lines]


def read_timings(text: str) -> dict[str, float]:
    """Return median milliseconds by name.

    Raises:
        ValueError: no line with the whole way from bytes to masks.
    """
    found = (_TIMING.fullmatch(line.strip()) for line in text.splitlines())
    timings = {hit["name"]: float(hit["median"]) for hit in found if hit}
    if "bytes to masks, T" not in timings:
        raise ValueError("the latency file has no line 'bytes to masks, T'")
    return timings
