"""Test doubles that several test modules share."""

import hashlib
import time
from collections.abc import Sequence

import numpy as np

from segmenter.backends.contract import PredictedMask, Prediction
from segmenter.contract import BinaryMask, Box, Capabilities, ImageRef, ModelInfo, Prompt, RgbImage
from segmenter.errors import BrokenImage, InvalidPrompt
from segmenter.storage.images import Undecoded

BRIGHT, DARK, NOTHING = "bright region", "dark region", "unicorn"
THRESHOLD = 0.5


class ThresholdBackend:
    """A model that needs no weights: bright or dark pixels, cut to the positive boxes.

    It knows "bright region" and "dark region" (and "unicorn", which no image holds); counts its
    calls; `delay_s` makes each prediction take time; `fail_with` makes it raise.
    """

    def __init__(
        self,
        *,
        level: int = 128,
        delay_s: float = 0.0,
        fail_with: Exception | None = None,
        weights_id: str = "threshold-1",
        thresholds: dict[str, float] | None = None,
    ) -> None:
        self._thresholds = thresholds or {}
        self._level = level
        self._delay_s = delay_s
        self._fail_with = fail_with
        self._weights_id = weights_id
        self.embeds = 0
        self.batches: list[int] = []

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(
            model=ModelInfo(
                kind="threshold",
                weights_id=self._weights_id,
                weights_sha256=hashlib.sha256(self._weights_id.encode()).hexdigest(),
            ),
            concepts=(BRIGHT, DARK, NOTHING),
            prompts=("text", "box", "text+box"),
            negative_boxes=False,
            threshold=THRESHOLD,
            thresholds=self._thresholds,
        )

    def embed(self, image: RgbImage) -> RgbImage:
        self.embeds += 1
        return image

    def embedding_bytes(self, embedding: RgbImage) -> int:
        return embedding.nbytes

    def predict(
        self, embedding: RgbImage, prompts: Sequence[Prompt], *, threshold: float | None
    ) -> list[Prediction]:
        time.sleep(self._delay_s)
        if self._fail_with is not None:
            raise self._fail_with
        self.batches.append(len(prompts))
        grey = embedding.mean(axis=2)
        return [self._answer(grey, prompt) for prompt in prompts]

    def _answer(self, grey: np.ndarray, prompt: Prompt) -> Prediction:
        if any(box.label == "negative" for box in prompt.boxes):
            raise InvalidPrompt("this model takes no negative boxes", field="boxes")
        if prompt.text not in (None, BRIGHT, DARK, NOTHING):
            reason = f"{prompt.text!r} is not one of the known concepts"
            return Prediction((), None, 0.0, known=False, reason=reason)
        mask = grey < self._level if prompt.text == DARK else grey >= self._level
        if prompt.text == NOTHING:
            mask = np.zeros_like(mask)
        if prompt.boxes:
            mask = mask & _inside(mask.shape, [box.box for box in prompt.boxes])
        if not mask.any():
            return Prediction((), prompt.text, 0.1)
        return Prediction((PredictedMask(mask, 0.9, 1.0),), prompt.text, 1.0)


def _inside(shape: tuple[int, ...], boxes: Sequence[Box]) -> BinaryMask:
    inside = np.zeros(shape, dtype=bool)
    for box in boxes:
        rows = slice(max(0, round(box.y0)), max(0, round(box.y1)))
        inside[rows, max(0, round(box.x0)) : max(0, round(box.x1))] = True
    return inside


def encode_raw(pixels: RgbImage) -> bytes:
    """Write pixels in a format only `decode_raw` reads, so that tests need no codec."""
    height, width = pixels.shape[:2]
    return b"RAW" + height.to_bytes(2, "big") + width.to_bytes(2, "big") + pixels.tobytes()


def decode_raw(content: bytes) -> Undecoded:
    """A `segmenter.storage.images.ReadHeader` for `encode_raw`."""
    if not content.startswith(b"RAW"):
        raise BrokenImage("no raw image")
    return Undecoded(len(content), lambda: _pixels_of(content))


def _pixels_of(content: bytes) -> tuple[ImageRef, RgbImage]:
    height, width = int.from_bytes(content[3:5], "big"), int.from_bytes(content[5:7], "big")
    pixels = np.frombuffer(content[7:], np.uint8).reshape(height, width, 3).copy()
    digest = hashlib.sha256(content).hexdigest()
    return ImageRef(sha256=digest, width=width, height=height, format="raw"), pixels


def bright_square(*, side: int = 16, shade: int = 255) -> RgbImage:
    """A black image, uint8 (side, side, 3), with a square of `shade` in its middle half."""
    pixels = np.zeros((side, side, 3), dtype=np.uint8)
    pixels[side // 4 : -side // 4, side // 4 : -side // 4] = shade
    return pixels
