"""From masks on frames to findings: objects with ids, a label map, a summary. Pure."""

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np

from segmenter.contract import FrameMasks, Line3d, ModelInfo
from segmenter.errors import JobFailed
from segmenter.formats.frames import FrameOrigin
from segmenter.measures.outline import Corners
from segmenter.measures.volume import longest_diameter
from segmenter.volumes.contract import FrameObject, FrameResult, VolumeResult, VolumeShape
from segmenter.volumes.label_frames import PackedLabels
from segmenter.volumes.linking import SliceLinker, TooManyObjects, paint

MM3_PER_ML = 1000.0
# Sizes are rounded where they are written down.
TOLERANCE = 1e-3


class Findings:
    """Gathers the frames of a job, given one by one in order of their index."""

    def __init__(self, shape: VolumeShape) -> None:
        self._shape = shape
        self._size = shape.height, shape.width
        self._labels = PackedLabels((shape.frames, *self._size))
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
        if found.masks:
            labels = np.zeros(self._size, dtype=np.uint16)
            paint(labels, found.masks, ids)
            self._labels.put(frame.index, labels)
        self._ids.append(ids)
        self._known = self._known or found.known
        self._concepts.update([found.concept] if found.concept else [])
        self._reasons.update([found.reason] if found.reason else [])

    @property
    def object_ids(self) -> list[tuple[int, ...]]:
        """Per frame given, the object of each mask."""
        return self._ids

    @property
    def labels(self) -> PackedLabels:
        """Object ids of all frames; 0 is background, and where nobody looked."""
        return self._labels

    def summary(self, *, label_map_bytes: int, model: ModelInfo, seconds: float) -> VolumeResult:
        """Return what was found in all."""
        objects = self._linker.objects(
            frames=len(self._ids), voxel_ml=self._shape.voxel_ml, longest=self._longest
        )
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

    def _longest(self, corners: Sequence[tuple[int, Corners]]) -> Line3d | None:
        spacing, slice_mm = self._shape.spacing, self._shape.slice_mm
        if spacing is None or slice_mm is None or not is_upright(self._shape):
            return None
        return longest_diameter(corners, spacing, slice_mm)


def is_upright(shape: VolumeShape) -> bool:
    """Tell whether the voxels are known to be boxes: frames lie straight above one another.

    Where they are shifted or slanted, lengths cannot be told from the sizes of a voxel alone.
    """
    if shape.axis != "depth" or shape.spacing is None or shape.slice_mm is None:
        return False
    if shape.voxel_ml is None:
        return False
    box_ml = shape.spacing.row_mm * shape.spacing.column_mm * shape.slice_mm / MM3_PER_ML
    step_mm = shape.slice_mm if shape.step_mm is None else shape.step_mm
    return math.isclose(step_mm, shape.slice_mm, rel_tol=TOLERANCE) and math.isclose(
        box_ml, shape.voxel_ml, rel_tol=TOLERANCE
    )


def to_frame_result(
    frame: FrameMasks, object_ids: tuple[int, ...], source: FrameOrigin | None
) -> FrameResult:
    """Join what was found on a frame with the ids of its objects and where it comes from."""
    found = frame.result
    return FrameResult(
        index=frame.index,
        source=source,
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
