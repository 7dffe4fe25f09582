"""What belongs to the bundled weights besides the two graphs; training writes it."""

import hashlib
import math
from typing import Annotated, Literal

from pydantic import Field

from segmenter.contract import Fraction, Frozen

METADATA = "metadata.json"
# Scores at the ends of [0, 1] have a finite logit.
EDGE = 1e-6


class ConceptCard(Frozen):
    """One phrase the weights know.

    Attributes:
        name: the phrase.
        aliases: other spellings of the same thing.
        multiple: whether all of several pieces are wanted, so that a box is but an example.
        presence_slope: calibration; presence = sigmoid(slope * logit + offset).
        presence_offset: see ``presence_slope``.
        threshold: of the joint score of this concept; None for the model's own.
        mirror: whether the whole picture is also read mirrored and the two answers averaged;
            not for what has a left and a right.
        tiles: whether the mask is drawn from four tiles of the picture, for thin or small pieces.
        second_look: whether a mask found by text alone is drawn again from a zoomed view.
        mirror_boxed: whether the view of a box is also read mirrored.
        rebox: whether a box that fits badly what was found in it is replaced by the fitting one.
    """

    name: str
    aliases: tuple[str, ...]
    multiple: bool
    presence_slope: float
    presence_offset: float
    threshold: Fraction | None = None
    mirror: bool = False
    tiles: bool = False
    second_look: bool = False
    mirror_boxed: bool = False
    rebox: bool = False


class CompactMetadata(Frozen):
    """What belongs to the two graphs; written by the training, read by the backend.

    Attributes:
        side: of a view, pixels.
        pixel_offset: network input is (value - offset) / scale of values in [0, 255].
        pixel_scale: see ``pixel_offset``.
        zoom_factor: side of a zoomed view over the longer side of its box.
        zoom_limit: a zoomed view wider than this share of the longer image side is not zoomed.
        threshold: of the joint score, where a concept has none of its own.
        score_slope: calibration; see `expected_dice`.
        score_offset: see ``score_slope``.
        concepts: in the order of the graph's concept numbers; the token of a box alone follows.
    """

    format: Literal[1]
    weights_id: str
    encoder_sha256: str
    decoder_sha256: str
    side: Annotated[int, Field(ge=32)]
    pixel_offset: float
    pixel_scale: Annotated[float, Field(gt=0)]
    zoom_factor: Annotated[float, Field(ge=1)]
    zoom_limit: Annotated[float, Field(gt=0)]
    threshold: Fraction
    score_slope: Annotated[float, Field(gt=0)] = 1.0
    score_offset: float = 0.0
    concepts: tuple[ConceptCard, ...]

    @property
    def weights_sha256(self) -> str:
        """One digest for both graphs."""
        both = self.encoder_sha256 + self.decoder_sha256
        return hashlib.sha256(both.encode()).hexdigest()

    def cut_of(self, concept: int) -> float:
        """Return the threshold of the joint score of a concept.

        Args:
            concept: number; one past the last is the token of a box alone.
        """
        own = self.concepts[concept].threshold if concept < len(self.concepts) else None
        return self.threshold if own is None else own


def expected_dice(score: float, slope: float, offset: float) -> float:
    """Return the Dice to expect of a mask, [0, 1], given that what it shows is there.

    sigmoid(slope * logit(score) + offset); slope 1 and offset 0 leave the score as it is.

    Args:
        score: raw, [0, 1].
        slope: above 0, so that the order of masks stays.
        offset: see above.
    """
    if (slope, offset) == (1.0, 0.0):
        return score
    held = min(max(score, EDGE), 1 - EDGE)
    logit = math.log(held / (1 - held))
    return 1 / (1 + math.exp(-(slope * logit + offset)))
