"""Makes the shipped folder from a checkpoint: graphs, calibration, threshold, metadata, record."""

import dataclasses
import json
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from segmenter.backends.compact import CompactBackend
from segmenter.backends.compact_metadata import METADATA, CompactMetadata, ConceptCard
from segmenter.training import export
from segmenter.training.calibrate import Answer, Choice, Curve, Seen, choose_threshold, fit_all
from segmenter.training.concepts import CONCEPTS
from segmenter.training.dataset import Row, cut_validation, read_rows
from segmenter.training.evaluate import Outcome, foreign_rows, outcomes
from segmenter.training.settings import Settings
from segmenter.training.state import State, new_state, restore
from segmenter.training.validation import PIXEL_OFFSET, PIXEL_SCALE

RECORD = "training.json"
PLAIN = Curve(1.0, 0.0)


def release(data: Path, run: Path, folder: Path, settings: Settings, *, weights_id: str) -> Choice:
    """Export the averaged weights of a run and calibrate them on the validation rows.

    Args:
        data: the folder trained on.
        run: with the checkpoint.
        folder: to write; what is there of the same name is replaced.
        settings: the run was started with.
        weights_id: name of these weights.

    Returns:
        The threshold and what it gives on the validation rows.
    """
    state = new_state(settings)
    data_sha256 = restore(state, run)
    export.export_graphs(state.average, settings.model.side, folder)
    seen, kept = cut_validation(
        read_rows(data, "train"), settings.data.validation_share, settings.run.seed
    )
    rows = [*kept, *foreign_rows(kept, settings.inference.foreign)]
    plain = {concept.name: PLAIN for concept in CONCEPTS}
    metadata = _metadata(folder, settings, weights_id, plain)
    curves = fit_all(_seen(_ask(folder, metadata, rows)), plain)
    metadata = _metadata(folder, settings, weights_id, curves)
    answers = list(_ask(folder, metadata, rows))
    choice = choose_threshold(_annotated(answers))
    _write(folder / METADATA, metadata.model_copy(update={"threshold": choice.threshold}))
    record = _record(state, settings, data_sha256, (len(seen), answers, choice))
    text = json.dumps(record, indent=1, sort_keys=True)
    (folder / RECORD).write_text(text + "\n", encoding="utf-8")
    return choice


def _metadata(
    folder: Path, settings: Settings, weights_id: str, curves: dict[str, Curve]
) -> CompactMetadata:
    """Return the metadata with threshold 0, so that every mask can be looked at."""
    cards = tuple(
        ConceptCard(
            name=concept.name,
            aliases=concept.aliases,
            multiple=concept.multiple,
            presence_slope=curves[concept.name].slope,
            presence_offset=curves[concept.name].offset,
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
        threshold=0.0,
        concepts=cards,
    )


def _ask(folder: Path, metadata: CompactMetadata, rows: list[Row]) -> Iterator[Outcome]:
    """Put the text prompts of the rows to the exported graphs under these metadata."""
    _write(folder / METADATA, metadata)
    return outcomes(CompactBackend(folder), rows, kinds=("T",), threshold=0.0)


def _seen(answers: Iterable[Outcome]) -> Iterator[Seen]:
    """Turn uncalibrated presences back into the logits they came from."""
    for each in answers:
        chance = min(max(each.presence, 1e-15), 1 - 1e-15)
        logit = float(np.log(chance / (1 - chance)))
        yield Seen(each.row.concept, logit, each.has_target, each.row.mask is None)


def _annotated(answers: Iterable[Outcome]) -> Iterator[Answer]:
    """Leave out other modalities: nearly all are refused at any threshold."""
    for each in answers:
        if each.row.mask is not None:
            group = f"{each.row.dataset}: {each.row.concept}"
            yield Answer(group, each.has_target, each.dice, each.joint)


def _write(path: Path, metadata: CompactMetadata) -> None:
    path.write_text(metadata.model_dump_json(indent=1) + "\n", encoding="utf-8")


def _record(
    state: State,
    settings: Settings,
    data_sha256: str,
    validated: tuple[int, list[Outcome], Choice],
) -> dict[str, object]:
    """Return how the weights came to be, for people; the backend does not read it."""
    training_rows, answers, choice = validated
    dices: dict[str, list[float]] = {}
    for each in answers:
        if each.has_target:
            kept = each.dice * (each.joint >= choice.threshold)
            dices.setdefault(f"{each.row.dataset}: {each.row.concept}", []).append(kept)
    return {
        "data_sha256": data_sha256,
        "steps": state.step,
        "views": state.step * settings.optimizer.batch,
        "training_minutes": round(state.elapsed_s / 60, 1),
        "parameters": sum(each.numel() for each in state.model.parameters()),
        "training_rows": training_rows,
        "validation_rows": {
            "annotated": sum(each.row.mask is not None for each in answers),
            "other_modality": sum(each.row.mask is None for each in answers),
        },
        "validation_choice": choice._asdict(),
        "validation_text_dice": {
            name: {"images": len(found), "dice": round(float(np.mean(found)), 4)}
            for name, found in sorted(dices.items())
        },
        "settings": dataclasses.asdict(settings),
    }
