"""Makes the shipped folder from checkpoints: graphs, calibration, thresholds, metadata, record."""

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from segmenter.backends.compact.backend import CompactBackend
from segmenter.backends.compact.metadata import METADATA, CompactMetadata, ConceptCard
from segmenter.training.ask import Outcome, foreign_rows, outcomes
from segmenter.training.compact import export
from segmenter.training.compact.calibration.calibrate import PLAIN, Raw
from segmenter.training.compact.calibration.fit import Tuning, tune
from segmenter.training.compact.calibration.thresholds import Choice
from segmenter.training.compact.history import build_record
from segmenter.training.compact.settings import Settings
from segmenter.training.compact.stages import Stretch, join, read_history
from segmenter.training.compact.state import CHECKPOINT, new_state, read_checkpoint, restore
from segmenter.training.compact.validation import PIXEL_OFFSET, PIXEL_SCALE
from segmenter.training.concepts import CONCEPTS
from segmenter.training.dataset import cut_validation, read_rows

RECORD = "training.json"
UNTUNED = Tuning(dict.fromkeys((each.name for each in CONCEPTS), PLAIN), PLAIN, {}, 0.0)


def release(
    data: Path,
    runs: Sequence[Path],
    folder: Path,
    settings: Settings | None = None,
    *,
    weights_id: str,
    note: str = "",
) -> Choice:
    """Export the averaged weights of the last run and calibrate them on the validation rows.

    Args:
        data: the folder trained on.
        runs: with a checkpoint each, in the order of training; the last one is exported.
        folder: to write; what is there of the same name is replaced.
        settings: to use; None for those of the checkpoint.
        weights_id: name of these weights.
        note: what else people should know of the training.

    Returns:
        The threshold and what it gives on the validation rows.

    Raises:
        ValueError: a run has no checkpoint.
    """
    history = join([_history(run) for run in runs])
    settings = settings or Settings.model_validate(history[-1].settings)
    state = new_state(settings)
    restore(state, runs[-1])
    export.export_graphs(state.average, settings.model.side, folder)
    seen, kept = cut_validation(
        read_rows(data, "train"), settings.data.validation_share, settings.data.validation_seed
    )
    rows = [*kept, *foreign_rows(kept, settings.inference.foreign)]
    _write(folder / METADATA, _metadata(folder, settings, weights_id, UNTUNED))
    answers = outcomes(CompactBackend(folder), rows, threshold=0.0)
    raws = list(_raws(answers))
    tuning, choice = tune(raws)
    _write(folder / METADATA, _metadata(folder, settings, weights_id, tuning))
    record = build_record(history, raws, tuning, choice)
    record |= {
        "note": note,
        "parameters": sum(each.numel() for each in state.model.parameters()),
        "training_rows": len(seen),
    }
    text = json.dumps(record, indent=1, sort_keys=True)
    (folder / RECORD).write_text(text + "\n", encoding="utf-8")
    return choice


def _history(run: Path) -> tuple[Stretch, ...]:
    path = run / CHECKPOINT
    if not path.exists():
        raise ValueError(f"{str(run)!r} holds no checkpoint")
    return read_history(read_checkpoint(path))


def _metadata(folder: Path, settings: Settings, weights_id: str, tuning: Tuning) -> CompactMetadata:
    cards = tuple(
        ConceptCard(
            name=concept.name,
            aliases=concept.aliases,
            multiple=concept.multiple,
            presence_slope=tuning.presence[concept.name].slope,
            presence_offset=tuning.presence[concept.name].offset,
            threshold=tuning.cuts.get(concept.name),
            mirror=concept.mirror,
            tiles=concept.fine,
            second_look=concept.second_look,
            mirror_boxed=concept.mirror_boxed,
            rebox=concept.rebox,
        )
        for concept in CONCEPTS
    )
    return CompactMetadata(
        format=1,
        weights_id=weights_id,
        encoder_sha256=export.file_sha256(folder / export.ENCODER),
        decoder_sha256=export.file_sha256(folder / export.DECODER),
        side=settings.model.side,
        pixel_offset=PIXEL_OFFSET,
        pixel_scale=PIXEL_SCALE,
        zoom_factor=settings.inference.zoom_factor,
        zoom_limit=settings.inference.zoom_limit,
        threshold=tuning.threshold,
        score_slope=tuning.score.slope,
        score_offset=tuning.score.offset,
        concepts=cards,
    )


def _raws(answers: Iterable[Outcome]) -> Iterator[Raw]:
    """Turn answers under untuned metadata back into logits and raw scores."""
    for each in answers:
        chance = min(max(each.presence, 1e-15), 1 - 1e-15)
        yield Raw(
            dataset=each.row.dataset,
            concept=each.row.concept,
            group=each.row.group,
            kind=each.kind,
            foreign=each.row.mask is None,
            has_target=each.has_target,
            dice=each.dice,
            logit=float(np.log(chance / (1 - chance))),
            score=min(each.joint / each.presence, 1.0) if each.found else None,
        )


def _write(path: Path, metadata: CompactMetadata) -> None:
    path.write_text(metadata.model_dump_json(indent=1) + "\n", encoding="utf-8")
