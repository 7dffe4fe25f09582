"""Draws training views from the samples: which set, which prompt, which crop."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from torch.utils.data import Dataset

from segmenter.training.compact import augment
from segmenter.training.compact.settings import SamplingSettings
from segmenter.training.concepts import CONCEPTS, MODALITIES, NAMES, OBJECT_TOKEN, foreign_concepts
from segmenter.training.dataset import Row, Sample

OBJECT = NAMES.index(OBJECT_TOKEN)
NO_BOX = np.zeros(4, dtype=np.float32)
# A crop that leaves less of the target than this says neither present nor absent.
MIN_VISIBLE = 0.1
# The cup is the hardest thing to see in a fundus photograph.
CUP_BONUS = 1.6


class View(NamedTuple):
    """One training example.

    Attributes:
        rgb: uint8, shape (S, S, 3).
        target: uint8, shape (S, S), 0 or 1; all 0 if the concept is absent.
        box: float32, shape (4,), xyxy in view pixels; zeros without a box.
        concept: number in the vocabulary.
        known: 1 if presence can be judged from the view, else 0.
    """

    rgb: npt.NDArray[np.uint8]
    target: npt.NDArray[np.uint8]
    box: npt.NDArray[np.float32]
    concept: int
    known: float


def row_shares(rows: list[Row], bonus: dict[str, float]) -> npt.NDArray[np.float64]:
    """Return how often each row is drawn, summing to 1.

    Sets count by the square root of their images times a bonus, so that sets of some dozens of
    images are not drowned by those of thousands.

    Args:
        rows: of the samples.
        bonus: factor by set, 1 where not named.
    """
    within = np.array([CUP_BONUS if row.concept == "optic cup" else 1.0 for row in rows])
    names = np.array([row.dataset for row in rows])
    shares: npt.NDArray[np.float64] = np.zeros(len(rows))
    for name in sorted(set(names)):
        chosen = names == name
        images = len({row.id for row in rows if row.dataset == name})
        total = np.sqrt(images) * bonus.get(name, 1.0)
        shares[chosen] = total * within[chosen] / within[chosen].sum()
    shares /= shares.sum()
    return shares


class Views(Dataset[View]):
    """Map-style set of random views; view ``index`` depends on the seed and the index alone."""

    def __init__(
        self, samples: list[Sample], sampling: SamplingSettings, *, side: int, seed: int, count: int
    ) -> None:
        self.samples = samples
        self.sampling = sampling
        self.side = side
        self.seed = seed
        self.count = count
        shares = row_shares([sample.row for sample in samples], sampling.bonus)
        self.cumulative = np.cumsum(shares)

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> View:
        """Return one view."""
        rng = np.random.default_rng((self.seed, index))
        place = np.searchsorted(self.cumulative, rng.random() * self.cumulative[-1], side="right")
        sample = self.samples[min(int(place), len(self.samples) - 1)]
        view = None
        if len(sample.boxes) and rng.random() < self.sampling.boxed:
            view = self._boxed(sample, rng)
        view = view or self._text(sample, rng)
        lit = augment.relight(view.rgb, MODALITIES[sample.row.dataset], rng)
        return view._replace(rgb=lit)

    def _text(self, sample: Sample, rng: np.random.Generator) -> View:
        """Draw a view of the whole picture, or most of it, without a box."""
        if CONCEPTS[sample.concept].fine and rng.random() < self.sampling.detail:
            rgb, target, visible = self._tile(sample, rng)
        else:
            rgb, target, visible = self._whole(sample.rgb, sample.mask, sample.row.dataset, rng)
        if rng.random() < self.sampling.foreign_text:
            return _foreign(rgb, NO_BOX, sample, rng)
        known = 0.0 if 0 < visible < MIN_VISIBLE else 1.0
        return View(rgb, target, NO_BOX, sample.concept, known)

    def _whole(
        self,
        rgb: npt.NDArray[np.uint8],
        mask: npt.NDArray[np.uint8],
        dataset: str,
        rng: np.random.Generator,
    ) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8], float]:
        """Return picture, target and the visible share of the target."""
        turns = augment.TURNS[MODALITIES[dataset]]
        if rng.random() < 0.25:
            mirror, quarter = _turn(turns, rng)
            seen, target = augment.squash(rgb, mask, self.side)
            return _quarter(seen, mirror, quarter), _quarter(target, mirror, quarter), 1.0
        return self._part(rgb, mask, rng.uniform(0.55, 1.15), turns, rng)

    def _tile(
        self, sample: Sample, rng: np.random.Generator
    ) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8], float]:
        """Return a view of about a quarter of the picture, its target and the visible share."""
        turns = augment.TURNS[MODALITIES[sample.row.dataset]]
        return self._part(sample.rgb, sample.mask, rng.uniform(0.35, 0.75), turns, rng)

    def _part(
        self,
        rgb: npt.NDArray[np.uint8],
        mask: npt.NDArray[np.uint8],
        zoom: float,
        turns: augment.Turns,
        rng: np.random.Generator,
    ) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8], float]:
        """Return picture, target and visible share of a part ``zoom`` as wide as the picture."""
        mirror, quarter = _turn(turns, rng)
        height, width = mask.shape
        reach = max(1 - zoom, 0.1) / 2
        x, y = 0.5 + rng.uniform(-reach, reach, 2)
        stretch = np.exp(rng.uniform(-0.15, 0.15))
        matrix = augment.view_matrix(
            (x * width, y * height),
            (zoom * width * stretch, zoom * height / stretch),
            self.side,
            degrees=rng.uniform(-turns.degrees, turns.degrees),
            quarter=quarter,
            mirror=mirror,
        )
        bend = augment.draw_bend(rng)
        seen, target = augment.render(rgb, mask, matrix, self.side, bend)
        area = np.count_nonzero(mask) / abs(np.linalg.det(matrix[:, :2]))
        return seen, target, float(target.sum() / area) if area else 1.0

    def _boxed(self, sample: Sample, rng: np.random.Generator) -> View | None:
        """Draw a view with a box around one piece; None if the piece got lost in the crop."""
        sampling = self.sampling
        piece = 0 if rng.random() < 0.75 else int(rng.integers(len(sample.boxes)))
        box = sample.boxes[piece]
        withheld = rng.random() < sampling.object_token
        alone = withheld or not CONCEPTS[sample.concept].multiple
        mask = augment.keep_inside(sample.mask, box) if alone else sample.mask
        if rng.random() < sampling.boxed_full_view:
            rgb, target, _ = self._whole(sample.rgb, mask, sample.row.dataset, rng)
            around = augment.tight_box(target)
        else:
            matrix = self._zoom(sample, box, rng)
            rgb, target = augment.render(sample.rgb, mask, matrix, self.side)
            # Of a concept in many pieces only the piece itself is boxed, and all are wanted.
            piece_only = augment.keep_inside(sample.mask, box)
            _, shown = augment.render(sample.rgb, piece_only, matrix, self.side)
            around = augment.tight_box(shown)
        if around is None:
            return None
        amount = 0.3 if rng.random() < sampling.rough_box else 0.12
        prompt = augment.jitter(around, amount, self.side, rng)
        if rng.random() < sampling.foreign_boxed:
            return _foreign(rgb, prompt, sample, rng)
        return View(rgb, target, prompt, OBJECT if withheld else sample.concept, 1.0)

    def _zoom(
        self, sample: Sample, box: npt.NDArray[np.float32], rng: np.random.Generator
    ) -> augment.Matrix:
        """Return the map of a square crop around a box."""
        turns = augment.TURNS[MODALITIES[sample.row.dataset]]
        mirror, quarter = _turn(turns, rng)
        factor = rng.triangular(1.3, 1.6, 2.5)
        crop = augment.zoom_side(box, factor, sample.mask.shape)
        x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
        shift = rng.uniform(-0.06, 0.06, 2) * crop
        stretch = np.exp(rng.uniform(-0.1, 0.1))
        return augment.view_matrix(
            (float(x + shift[0]), float(y + shift[1])),
            (crop * stretch, crop / stretch),
            self.side,
            degrees=rng.uniform(-turns.degrees, turns.degrees) * (rng.random() < 0.6),
            quarter=quarter,
            mirror=mirror,
        )


def _turn(turns: augment.Turns, rng: np.random.Generator) -> tuple[bool, int]:
    """Draw a mirroring and a number of quarter turns."""
    mirror = bool(turns.mirror and rng.random() < 0.5)
    return mirror, int(rng.integers(4)) if turns.any_quarter else 0


def _quarter(pixels: npt.NDArray[np.uint8], mirror: bool, quarter: int) -> npt.NDArray[np.uint8]:
    """Mirror and turn a square array."""
    turned = np.rot90(pixels[:, ::-1] if mirror else pixels, quarter)
    return np.ascontiguousarray(turned)


def _foreign(
    rgb: npt.NDArray[np.uint8],
    box: npt.NDArray[np.float32],
    sample: Sample,
    rng: np.random.Generator,
) -> View:
    """Ask for something that this modality cannot show."""
    choices = foreign_concepts(sample.row.dataset)
    empty = np.zeros(rgb.shape[:2], dtype=np.uint8)
    return View(rgb, empty, box, int(rng.choice(choices)), 1.0)
