"""SAM 3 on a sequence: the detector on each frame, and the tracker's memory from frame to frame.

A text is looked for on every frame; what was found is tracked, so that an object that the detector
misses on a frame stays. A box shows one object on its frame, which is then tracked alone. Frames
are encoded once each and then forgotten.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from segmenter.backends.postprocess import describe, select
from segmenter.backends.sam3.backend import Sam3Backend, Sam3Embedding
from segmenter.backends.sam3.memory import ObjectMemory
from segmenter.backends.sam3.postprocess import cut_one
from segmenter.backends.sam3.tracker import Sam3Tracker, TrackerFeatures
from segmenter.backends.sequence import LOST, MAX_FRAME_MASKS, FrameStep, SequencePrompt
from segmenter.contract import BinaryMask, BoxPrompt, FrameMasks, Mask, Prompt, PromptResult
from segmenter.formats.frames import Frames
from segmenter.masks import rle
from segmenter.masks.geometry import box_iou, mask_iou

# Source of these: Sam3VideoConfig of transformers, after facebookresearch/sam3.
DETECTION_NMS_IOU = 0.1
SAME_OBJECT_IOU = 0.5
KEEP_ALIVE_FRAMES = 30
RENEW_EVERY_FRAMES = 16
RENEW_SCORE = 0.8
# Objects tracked at once: each holds some 20 MB at full size and costs a run of the memory
# attention. What is found beyond them is reported, frame by frame, and not tracked.
MAX_TRACKED = 16


@dataclass
class Track:
    """An object that is tracked.

    Attributes:
        score: raw score of when it was last detected.
        missed: frames since then.
        age: frames since its memory was shown its mask.
        mask: of it on the frame at hand: bool, shape (H, W).
        belief: that it is there, [0, 1].
    """

    memory: ObjectMemory
    score: float
    missed: int = 0
    age: int = 0
    mask: BinaryMask | None = None
    belief: float = 0.0


class Sam3VideoBackend(Sam3Backend):
    """Weights with a tracker, which are a `segmenter.backends.sequence.SequenceBackend` too.

    One sequence at a time.
    """

    def segment_sequence(
        self,
        frames: Frames,
        prompt: SequencePrompt,
        steps: Sequence[FrameStep],
        *,
        known: Mapping[int, PromptResult],
    ) -> Iterator[FrameMasks]:
        """See `SequenceBackend`; holds one frame and the memory of `MAX_TRACKED` objects."""
        results = dict(known)
        tracks: list[Track] = []
        last: int | None = None
        for step in steps:
            if step.beside is not None and step.beside != last:
                tracks = self._resume(frames, step.beside, results[step.beside])
            embedding = self.embed(frames.frame(step.frame))
            features = self._tracker.features(embedding.encoded)
            _advance(tracks, features, step, embedding.shape)
            found = self._detect(embedding, prompt, step.frame)
            tracks = self._update(tracks, found, features, step.frame, frames.count)
            result = _answer(found, tracks, prompt, self._limit(prompt))
            if step.beside is None:
                results[step.frame] = result
            last = step.frame
            yield FrameMasks(index=step.frame, result=result)

    @property
    def _tracker(self) -> Sam3Tracker:
        tracker = self._network.tracker
        assert tracker is not None
        return tracker

    def _limit(self, prompt: SequencePrompt) -> float:
        own = self.capabilities.threshold
        return own if prompt.threshold is None else prompt.threshold

    def _resume(self, frames: Frames, index: int, result: PromptResult) -> list[Track]:
        """Track on from what was found on a frame before."""
        if not result.masks:
            return []
        features = self._tracker.features(self.embed(frames.frame(index)).encoded)
        return [
            self._track(features, index, mask, frames.count) for mask in result.masks[:MAX_TRACKED]
        ]

    def _track(self, features: TrackerFeatures, index: int, mask: Mask, frames: int) -> Track:
        shown = rle.decode(mask.rle)
        memory = ObjectMemory(self._tracker, features, index, shown, frames=frames)
        return Track(memory, mask.score, mask=shown, belief=mask.presence)

    def _detect(
        self, embedding: Sam3Embedding, prompt: SequencePrompt, index: int
    ) -> PromptResult | None:
        """Return what is found on a frame alone; None where an object is only tracked."""
        asked = _prompt_of(prompt, index)
        if asked is None:
            return None
        [prediction] = self.predict(embedding, [asked], threshold=prompt.threshold)
        found = select(
            prediction,
            threshold=self._limit(prompt),
            nms_iou=DETECTION_NMS_IOU,
            max_masks=MAX_FRAME_MASKS,
        )
        return found if prompt.box is None else _in_box(found, asked)

    def _update(
        self,
        tracks: Sequence[Track],
        found: PromptResult | None,
        features: TrackerFeatures,
        index: int,
        frames: int,
    ) -> list[Track]:
        """Return the tracks that go on, renewed by what was detected, and those that begin."""
        kept, free = [], list(found.masks) if found else []
        for track in tracks:
            detected = _matching(track, free)
            if detected is not None:
                free.remove(detected)
                track.missed, track.score = 0, detected.score
                if track.age >= RENEW_EVERY_FRAMES and detected.joint >= RENEW_SCORE:
                    track = self._track(features, index, detected, frames)
            elif found is not None:
                track.missed += 1
            if track.missed <= KEEP_ALIVE_FRAMES:
                kept.append(track)
        room = max(0, MAX_TRACKED - len(kept))
        return kept + [self._track(features, index, mask, frames) for mask in free[:room]]


def _prompt_of(prompt: SequencePrompt, index: int) -> Prompt | None:
    if prompt.box is None:
        return Prompt(text=prompt.text)
    if index != prompt.box.frame:
        return None
    boxes = (BoxPrompt(box=prompt.box.box),)
    if prompt.text is None:
        return Prompt(boxes=boxes, kind="object")
    return Prompt(text=prompt.text, boxes=boxes)


def _in_box(found: PromptResult, asked: Prompt) -> PromptResult:
    """Keep the one mask that fits the box best."""
    wanted = asked.boxes[0].box
    best = max(found.masks, key=lambda mask: box_iou(mask.box, wanted), default=None)
    return found.model_copy(update={"masks": () if best is None else (best,)})


def _advance(
    tracks: Sequence[Track], features: TrackerFeatures, step: FrameStep, shape: tuple[int, int]
) -> None:
    """Find each tracked object on the next frame."""
    reverse = step.beside is not None and step.frame < step.beside
    for track in tracks:
        tracked = track.memory.step(features, step.frame, reverse=reverse)
        track.age += 1
        track.belief = tracked.belief
        track.mask = cut_one(tracked.logits, shape)


def _matching(track: Track, masks: Sequence[Mask]) -> Mask | None:
    """Return the mask that shows the same object, the best fitting one."""
    if track.mask is None:
        return None
    overlaps = [(mask_iou(track.mask, rle.decode(mask.rle)), mask) for mask in masks]
    best = max(overlaps, key=lambda pair: pair[0], default=None)
    return best[1] if best is not None and best[0] >= SAME_OBJECT_IOU else None


def _answer(
    found: PromptResult | None, tracks: Sequence[Track], prompt: SequencePrompt, limit: float
) -> PromptResult:
    """Join what was detected with what is tracked and was missed.

    A tracked object's score is the one it was last detected with, its presence the tracker's
    belief that it is still there.
    """
    detected = () if found is None else found.masks
    tracked = [
        describe(track.mask, score=track.score, presence=track.belief)
        for track in tracks
        if track.mask is not None and track.mask.any() and (found is None or track.missed)
    ]
    masks = sorted(
        (*detected, *(mask for mask in tracked if mask.joint >= limit)),
        key=lambda mask: mask.joint,
        reverse=True,
    )[:MAX_FRAME_MASKS]
    presence = max((mask.presence for mask in masks), default=found.presence if found else 0.0)
    reason = found.reason if found else LOST
    return PromptResult(
        masks=tuple(masks),
        concept=prompt.text,
        presence=presence,
        reason=None if masks else reason,
    )
