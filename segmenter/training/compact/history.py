"""The record of how weights came to be, for people; the backend does not read it."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy import stats

from segmenter.training.compact.calibration.calibrate import (
    FloatArray,
    Raw,
    calibration_error,
    crossfit_presences,
    drawn_targets,
    presences,
    score_logits,
)
from segmenter.training.compact.calibration.fit import Tuning, joint_scores
from segmenter.training.compact.calibration.thresholds import Choice
from segmenter.training.compact.stages import Stretch


def build_record(
    history: Sequence[Stretch], raws: Sequence[Raw], tuning: Tuning, choice: Choice
) -> dict[str, Any]:
    """Return what was trained on what, and what validation says.

    Args:
        history: of all stages.
        raws: answers to the validation questions.
        tuning: fitted on them.
        choice: the model's own threshold.
    """
    texts = [each for each in raws if each.kind == "T"]
    return {
        "data_sha256": history[-1].data_sha256,
        "steps": sum(each.steps for each in history),
        "views": sum(each.steps * int(each.settings["optimizer"]["batch"]) for each in history),
        "training_minutes": round(sum(each.minutes for each in history), 1),
        "stages": [each._asdict() | {"minutes": round(each.minutes, 1)} for each in history],
        "validation_rows": {
            "annotated": sum(not each.foreign for each in texts),
            "other_modality": sum(each.foreign for each in texts),
        },
        "validation_choice": choice._asdict(),
        "validation_presence": presence_report(texts, tuning),
        "validation_score": score_report(raws, tuning),
        "validation_concepts": concept_report(texts, tuning),
    }


def presence_report(texts: Sequence[Raw], tuning: Tuning) -> dict[str, float | None]:
    """Return calibration errors of the presence, [0, 1], with and without foreign questions.

    ``fitted`` are measured on the rows fitted on, ``crossfit`` on the half of the groups that was
    not fitted on.
    """
    present = np.array([row.has_target for row in texts], dtype=float)
    annotated = np.array([not row.foreign for row in texts])
    report: dict[str, float | None] = {}
    for name, predicted in (
        ("fitted", presences(texts, tuning.presence)),
        ("crossfit", crossfit_presences(texts)),
    ):
        report[f"{name}_ece"] = round(calibration_error(predicted, present), 4)
        report[f"{name}_ece_annotated"] = round(
            calibration_error(predicted[annotated], present[annotated]), 4
        )
    return report


def score_report(raws: Sequence[Raw], tuning: Tuning) -> dict[str, dict[str, float | None]]:
    """Return, for each kind of prompt, how the mask score goes with the Dice of found targets."""
    kinds = sorted({each.kind for each in raws})
    return {kind: _score_line([row for row in raws if row.kind == kind], tuning) for kind in kinds}


def _score_line(rows: Sequence[Raw], tuning: Tuning) -> dict[str, float | None]:
    drawn = drawn_targets(rows)
    if not drawn:
        return {"masks": 0}
    dices = np.array([each.dice for each in drawn])
    predicted = tuning.score.of(score_logits(np.array([each.score for each in drawn], dtype=float)))
    return {
        "masks": len(drawn),
        "mean_score": round(float(predicted.mean()), 4),
        "mean_dice": round(float(dices.mean()), 4),
        "ece": round(calibration_error(predicted, dices), 4),
        "pearson": _correlation(predicted, dices),
        "spearman": _correlation(stats.rankdata(predicted), stats.rankdata(dices)),
    }


def _correlation(first: FloatArray, second: FloatArray) -> float | None:
    if first.std() == 0 or second.std() == 0:
        return None
    return round(float(np.corrcoef(first, second)[0, 1]), 4)


def concept_report(texts: Sequence[Raw], tuning: Tuning) -> dict[str, dict[str, float | None]]:
    """Return what the cuts give on validation, for each set and concept."""
    joints = joint_scores(texts, tuning.presence, tuning.score)
    groups: dict[str, list[tuple[Raw, bool]]] = {}
    for row, joint in zip(texts, joints.tolist(), strict=True):
        found = row.score is not None and joint >= tuning.cuts.get(row.concept, tuning.threshold)
        name = f"other modality: {row.concept}" if row.foreign else f"{row.dataset}: {row.concept}"
        groups.setdefault(name, []).append((row, found))
    return {name: _concept_line(rows) for name, rows in sorted(groups.items())}


def _concept_line(rows: Sequence[tuple[Raw, bool]]) -> dict[str, float | None]:
    found = [kept for row, kept in rows if row.has_target]
    refused = [not kept for row, kept in rows if not row.has_target]
    return {
        "present": len(found),
        "dice": _mean([row.dice * kept for row, kept in rows if row.has_target]),
        "sensitivity": _mean(found),
        "absent": len(refused),
        "specificity": _mean(refused),
    }


def _mean(values: Sequence[float]) -> float | None:
    return round(float(np.mean(values)), 4) if values else None
