"""SAM 3 on a sequence: what the detector sees on each frame, and the tracker between its sights.

A text is looked for on every frame; what was found is followed, so that an object that the detector
misses on a frame stays. A box shows one object on its frame, which is then followed alone. Frames
are encoded once each and then forgotten.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from segmenter.backends.postprocess import describe, select
from segmenter.backends.sam3.backend import Sam3Backend, Sam3Embedding
from segmenter.backends.sam3.memory import ObjectMemory, TrackedMask
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
# Objects followed at once: each holds some 20 MB at full size and costs a run of the memory
# attention. What is found beyond them is reported, frame by frame, and not followed.
MAX_FOLLOWED = 16


@dataclass
class Track:
    """An object that is followed.

    Attributes:
        score: raw score of when it was last detected.
        missed: frames since then.
        age: frames since the follower was shown its mask.
        mask: of it on the frame at hand: bool, shape (H, W).
        belief: that it is there, [0, 1].
    """

    follower: ObjectMemory
    score: float
    missed: int = 0
    age: int = 0
    mask: BinaryMask | None = None
    belief: float = 0.0


class Sam3Sequence:
    """A `segmenter.backends.sequence.SequenceBackend`; one sequence at a time."""

    def __init__(self, backend: Sam3Backend, tracker: Sam3Tracker) -> None:
        """Look with a backend, follow with the tracker of its weights."""
        self._backend = backend
        self._tracker = tracker

    def segment_sequence(
        self,
        frames: Frames,
        prompt: SequencePrompt,
        steps: Sequence[FrameStep],
        *,
        known: Mapping[int, PromptResult],
    ) -> Iterator[FrameMasks]:
        """See `SequenceBackend`; holds one frame and the memory of `MAX_FOLLOWED` objects."""
        results = dict(known)
        tracks: list[Track] = []
        last: int | None = None
        for step in steps:
            if step.beside is not None and step.beside != last:
                tracks = self._take_up(frames, step.beside, results[step.beside])
            embedding = self._backend.embed(frames.frame(step.frame))
            features = self._tracker.features(embedding.encoded)
            _advance(tracks, features, step, embedding.shape)
            found = self._detect(embedding, prompt, step.frame)
            tracks = self._update(tracks, found, features, step.frame, frames.count)
            result = _answer(found, tracks, prompt, self._limit(prompt))
            if step.beside is None:
                results[step.frame] = result
            last = step.frame
            yield FrameMasks(index=step.frame, result=result)

    def _limit(self, prompt: SequencePrompt) -> float:
        own = self._backend.capabilities.threshold
        return own if prompt.threshold is None else prompt.threshold

    def _take_up(self, frames: Frames, index: int, result: PromptResult) -> list[Track]:
        """Follow on from what was found on a frame before."""
        if not result.masks:
            return []
        features = self._tracker.features(self._backend.embed(frames.frame(index)).encoded)
        return [
            self._follow(features, index, mask, frames.count)
            for mask in result.masks[:MAX_FOLLOWED]
        ]

    def _follow(self, features: TrackerFeatures, index: int, mask: Mask, frames: int) -> Track:
        shown = rle.decode(mask.rle)
        follower = ObjectMemory(self._tracker, features, index, shown, frames=frames)
        return Track(follower, mask.score, mask=shown, belief=mask.presence)

    def _detect(
        self, embedding: Sam3Embedding, prompt: SequencePrompt, index: int
    ) -> PromptResult | None:
        """Return what is seen on a frame alone; None where an object is only followed."""
        asked = _prompt_of(prompt, index)
        if asked is None:
            return None
        [prediction] = self._backend.predict(embedding, [asked], threshold=prompt.threshold)
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
            seen = _matching(track, free)
            if seen is not None:
                free.remove(seen)
                track.missed, track.score = 0, seen.score
                if track.age >= RENEW_EVERY_FRAMES and seen.joint >= RENEW_SCORE:
                    track = self._follow(features, index, seen, frames)
            elif found is not None:
                track.missed += 1
            if track.missed <= KEEP_ALIVE_FRAMES:
                kept.append(track)
        room = max(0, MAX_FOLLOWED - len(kept))
        return kept + [self._follow(features, index, mask, frames) for mask in free[:room]]


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
    """Find each followed object on the next frame."""
    reverse = step.beside is not None and step.frame < step.beside
    for track in tracks:
        seen: TrackedMask = track.follower.step(features, step.frame, reverse=reverse)
        track.age += 1
        track.belief = seen.belief
        track.mask = cut_one(seen.logits, shape)


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
    """Join what was detected with what is followed and was missed.

    A followed object's score is the one it was last detected with, its presence the tracker's
    belief that it is still there.
    """
    detected = () if found is None else found.masks
    followed = [
        describe(track.mask, score=track.score, presence=track.belief)
        for track in tracks
        if track.mask is not None and track.mask.any() and (found is None or track.missed)
    ]
    masks = sorted(
        (*detected, *(mask for mask in followed if mask.joint >= limit)),
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
