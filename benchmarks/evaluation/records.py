"""What an evaluation is made of: the question, the score of one answer, a row of the summary."""

from pathlib import Path
from typing import Literal, get_args

from pydantic import BaseModel, ConfigDict

Mode = Literal["T", "T+I", "T+I moved", "box", "agent"]
MODES: tuple[Mode, ...] = get_args(Mode)


class Frozen(BaseModel):
    """Base of the records; unknown fields are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Case(Frozen):
    """One image and concept to ask for.

    Attributes:
        dataset: name of the set.
        image_id: of the image in its set.
        concept: as annotated.
        phrase: the words asked with; the concept unless a prompt study says otherwise.
        group: patient, sequence or near-duplicates.
        image: path of the picture.
        mask: path of the annotation; None where the modality rules the concept out.
        labels: path of the instance labels, 16-bit, one number per instance; None without.
        spacing: (row, column) size of a pixel in mm; None if unknown.
    """

    dataset: str
    image_id: str
    concept: str
    phrase: str
    group: str
    image: Path
    mask: Path | None
    labels: Path | None = None
    spacing: tuple[float, float] | None = None


class Score(Frozen):
    """One answer beside the truth; None where a figure is not defined.

    Attributes:
        dataset: see `Case`.
        image_id: see `Case`.
        concept: see `Case`.
        phrase: see `Case`.
        group: see `Case`.
        mode: how it was asked.
        foreign: the modality alone rules the concept out; no annotation was read.
        has_target: whether the truth has a pixel.
        found: whether the answer has a mask.
        status: ``found``, ``not_found``, ``uncertain``, ``unknown`` (concept not known) or
            ``failed``; a failed answer has no figures and makes the run exit with 1.
        dice: of the union of the answer's masks, [0, 1]; None without a target.
        iou: likewise.
        hd95: 95th percentile Hausdorff distance; None without a target or without a mask.
        surface_dice: [0, 1]; 0 if a target has no mask, None without a target.
        unit: of ``hd95`` and of the tolerance of ``surface_dice``.
        aji: aggregated Jaccard index, [0, 1]; None without instance labels.
        pq: panoptic quality, [0, 1]; None without instance labels.
        presence: the model's belief that the concept is there, [0, 1].
        score: highest joint score of the masks, [0, 1]; 0 without one.
        expected_dice: the mask score, before presence, of the best mask, [0, 1]; None without one.
        seconds: from bytes to masks.
        rounds: of the agent; 0 in the other modes.
        error: why it failed; None otherwise.
    """

    dataset: str
    image_id: str
    concept: str
    phrase: str
    group: str
    mode: Mode
    foreign: bool = False
    has_target: bool
    found: bool
    status: Literal["found", "not_found", "uncertain", "unknown", "failed"]
    dice: float | None = None
    iou: float | None = None
    hd95: float | None = None
    surface_dice: float | None = None
    unit: Literal["px", "mm"] = "px"
    aji: float | None = None
    pq: float | None = None
    presence: float = 0.0
    score: float = 0.0
    expected_dice: float | None = None
    seconds: float = 0.0
    rounds: int = 0
    error: str | None = None


class SummaryRow(Frozen):
    """One set, concept, phrase and mode; ``low`` and ``high`` bound bootstrap 95 % intervals.

    Attributes:
        set: name of the set.
        concept: as annotated.
        phrase: asked with.
        mode: how it was asked.
        foreign: whether these are questions that the modality rules out.
        n: scored images that have a target.
        dice: mean over them, a missing mask counting 0 (the paper's definition).
        dice_low: see above.
        dice_high: see above.
        iou: mean over the same images.
        hd95: mean over those with a mask, in ``unit``.
        surface_dice: mean over images with a target, a missing mask counting 0.
        unit: ``px`` or ``mm``.
        aji: mean over images with instance labels.
        pq: likewise.
        sensitivity: share of images with a target that got a mask.
        n_absent: scored images without the target.
        specificity: share of those that got no mask.
        specificity_low: see above.
        specificity_high: see above.
        uncertain: answers that ended uncertain.
        failures: answers that failed; not in any other figure.
        seconds: median time of an answer.
    """

    set: str
    concept: str
    phrase: str
    mode: Mode
    foreign: bool
    n: int
    dice: float | None
    dice_low: float | None
    dice_high: float | None
    iou: float | None
    hd95: float | None
    surface_dice: float | None
    unit: Literal["px", "mm"]
    aji: float | None
    pq: float | None
    sensitivity: float | None
    n_absent: int
    specificity: float | None
    specificity_low: float | None
    specificity_high: float | None
    uncertain: int
    failures: int
    seconds: float | None
