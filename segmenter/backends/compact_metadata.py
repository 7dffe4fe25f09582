"""What belongs to the bundled weights besides the two graphs; training writes it."""

import hashlib
from typing import Annotated, Literal

from pydantic import Field

from segmenter.contract import Frozen, Share

METADATA = "metadata.json"


class ConceptCard(Frozen):
    """One phrase the weights know.

    Attributes:
        name: the phrase.
        aliases: other spellings of the same thing.
        multiple: whether all of several pieces are wanted, so that a box is but an example.
        presence_slope: calibration; presence = sigmoid(slope * logit + offset).
        presence_offset: see ``presence_slope``.
    """

    name: str
    aliases: tuple[str, ...]
    multiple: bool
    presence_slope: float
    presence_offset: float


class CompactMetadata(Frozen):
    """What belongs to the two graphs; written by the training, read by the backend.

    Attributes:
        side: of a view, pixels.
        pixel_offset: network input is (value - offset) / scale of values in [0, 255].
        pixel_scale: see ``pixel_offset``.
        zoom_factor: side of a zoomed view over the longer side of its box.
        zoom_limit: a zoomed view wider than this share of the longer image side is not zoomed.
        threshold: of the joint score.
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
    threshold: Share
    concepts: tuple[ConceptCard, ...]

    @property
    def weights_sha256(self) -> str:
        """One digest for both graphs."""
        both = self.encoder_sha256 + self.decoder_sha256
        return hashlib.sha256(both.encode()).hexdigest()
