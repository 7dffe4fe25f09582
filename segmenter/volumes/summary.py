"""From masks on frames to findings: objects with ids, a label map, a summary. Pure."""

from collections import Counter

import numpy as np
import numpy.typing as npt

from segmenter.contract import FrameMasks, ModelInfo
from segmenter.errors import JobFailed
from segmenter.volumes.contract import FrameObject, FrameResult, VolumeResult, VolumeShape
from segmenter.volumes.linking import SliceLinker, TooManyObjects, paint


class Findings:
    """Gathers the frames of a job, given one by one in order of their index."""

    def __init__(self, shape: VolumeShape) -> None:
        self._voxel_ml = shape.voxel_ml
        # Pages that nothing is painted on are never touched, so they take no memory.
        self._labels = np.zeros((shape.frames, shape.height, shape.width), dtype=np.uint16)
        self._linker = SliceLinker()
        self._ids: list[tuple[int, ...]] = []
        self._concepts: Counter[str] = Counter()
        self._reasons: Counter[str] = Counter()
        self._known = False

    def add(self, frame: FrameMasks) -> None:
        """Take the next frame.

        Raises:
            JobFailed: more objects than a label map can tell apart.
        """
        found = frame.result
        try:
            ids = self._linker.add(frame.index, found.masks)
        except TooManyObjects as error:
            raise JobFailed(str(error)) from error
        paint(self._labels[frame.index], found.masks, ids)
        self._ids.append(ids)
        self._known = self._known or found.known
        self._concepts.update([found.concept] if found.concept else [])
        self._reasons.update([found.reason] if found.reason else [])

    @property
    def object_ids(self) -> list[tuple[int, ...]]:
        """Per frame given, the object of each mask."""
        return self._ids

    @property
    def labels(self) -> npt.NDArray[np.uint16]:
        """Object ids: uint16, shape (F, H, W); 0 is background, and where nobody looked."""
        return self._labels

    def summary(self, *, label_map_bytes: int, model: ModelInfo, seconds: float) -> VolumeResult:
        """Return what was found in all."""
        objects = self._linker.objects(frames=len(self._ids), voxel_ml=self._voxel_ml)
        return VolumeResult(
            concept=_commonest(self._concepts),
            known=self._known,
            # Frames without a finding have reasons of their own; here it is the whole that counts.
            reason=None if objects else _commonest(self._reasons),
            objects=objects,
            label_map_bytes=label_map_bytes,
            model=model,
            seconds=seconds,
        )


def to_frame_result(frame: FrameMasks, object_ids: tuple[int, ...]) -> FrameResult:
    """Join what was found on a frame with the ids of its objects."""
    found = frame.result
    return FrameResult(
        index=frame.index,
        presence=found.presence,
        reason=found.reason,
        objects=tuple(
            FrameObject(
                object_id=object_id,
                rle=mask.rle,
                box=mask.box,
                score=mask.score,
                presence=mask.presence,
                joint=mask.joint,
                area_px=mask.area_px,
            )
            for object_id, mask in zip(object_ids, found.masks, strict=True)
        ),
    )


def _commonest(counts: Counter[str]) -> str | None:
    return counts.most_common(1)[0][0] if counts else None
