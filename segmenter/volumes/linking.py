"""Tells objects apart through depth or time: links the masks of neighbouring frames. Pure.

Masks of two frames belong to one object when their IoU is at least `STITCH_IOU`; the best pair goes
first and each mask is used once. IoU is symmetric, so a sequence read backwards gives the same
objects. What a model did not see is never made up: an object that is missing on one frame keeps its
id, and the frame is reported as a gap; one that is on a single frame only stays and is marked.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from segmenter.contract import BinaryMask, Box, Line3d, Mask
from segmenter.masks import rle
from segmenter.masks.geometry import box_iou, mask_iou
from segmenter.measures.outline import Corners, hull_corners
from segmenter.volumes.contract import VolumeObject

# Source: default `stitch_threshold` of stitch3D in Cellpose (Stringer et al. 2021, Nature Methods
# 18:100-106), which joins masks of neighbouring slices by the same rule.
STITCH_IOU = 0.25
# One missed frame: the object may be there, faint. After two, it is another finding.
MAX_GAP = 1
# Labels of a uint16 map.
MAX_OBJECTS = 65_535
# Measures the longest diameter of an object by its corners on each frame; None where it cannot.
Longest = Callable[[Sequence[tuple[int, Corners]]], Line3d | None]
NO_PIXELS: BinaryMask = np.zeros((0, 0), dtype=np.bool_)


class TooManyObjects(ValueError):
    """More objects than a label map can tell apart."""


@dataclass
class LinkedObject:
    """An object as far as it was followed; `mask` is the last one.

    Attributes:
        corners: index of each frame it is on, and the corners of its convex hull there.
    """

    object_id: int
    first: int
    last: int
    mask: BinaryMask
    box: Box
    frames: int = 0
    voxels: int = 0
    gaps: list[int] = field(default_factory=list)
    lowest_joint: float = 1.0
    corners: list[tuple[int, Corners]] = field(default_factory=list)


class SliceLinker:
    """Follows objects over the frames of a sequence, given one by one in order of their index."""

    def __init__(self) -> None:
        self._open: list[LinkedObject] = []
        self._closed: list[LinkedObject] = []

    def add(self, index: int, masks: Sequence[Mask]) -> tuple[int, ...]:
        """Take the masks of a frame; return the id of each one's object, from 1.

        Raises:
            TooManyObjects.
        """
        self._close(before=index - MAX_GAP - 1)
        decoded = [rle.decode(mask.rle) for mask in masks]
        boxed = [(mask.box, pixels) for mask, pixels in zip(masks, decoded, strict=True)]
        found = match(self._open, boxed, index)
        return tuple(
            self._note(index, mask, pixels, found.get(number))
            for number, (mask, pixels) in enumerate(zip(masks, decoded, strict=True))
        )

    def objects(
        self, *, frames: int, voxel_ml: float | None, longest: Longest
    ) -> tuple[VolumeObject, ...]:
        """Return all objects by id.

        Args:
            frames: how many were added in all.
            voxel_ml: volume of a voxel, if known.
            longest: measures the longest diameter.
        """
        tracks = sorted((*self._closed, *self._open), key=lambda track: track.object_id)
        return tuple(
            _to_object(track, frames=frames, voxel_ml=voxel_ml, longest=longest) for track in tracks
        )

    def _close(self, *, before: int) -> None:
        for track in self._open:
            if track.last < before:
                # Nobody compares with it any more; a view would keep its pixels.
                track.mask = NO_PIXELS
                self._closed.append(track)
        self._open = [track for track in self._open if track.last >= before]

    def _note(self, index: int, mask: Mask, pixels: BinaryMask, track: LinkedObject | None) -> int:
        if track is None:
            object_id = len(self._open) + len(self._closed) + 1
            if object_id > MAX_OBJECTS:
                raise TooManyObjects(f"more than {MAX_OBJECTS} objects")
            track = LinkedObject(object_id, index, index, pixels, mask.box)
            self._open.append(track)
        track.gaps.extend(range(track.last + 1, index))
        track.last, track.mask, track.box = index, pixels, mask.box
        track.frames += 1
        track.voxels += mask.area_px
        track.corners.append((index, hull_corners(pixels)))
        track.lowest_joint = min(track.lowest_joint, mask.joint)
        return track.object_id


def match(
    tracks: Sequence[LinkedObject], masks: Sequence[tuple[Box, BinaryMask]], index: int
) -> dict[int, LinkedObject]:
    """Pair the masks of a frame with objects: nearest frame first, then largest IoU.

    Args:
        tracks: objects that may go on.
        masks: box and pixels, bool (H, W), of each mask.
        index: of the frame.

    Returns:
        The object of each mask that has one, by the mask's number.
    """
    pairs = sorted(
        (index - track.last, -overlap, track.object_id, number)
        for track in tracks
        for number, (box, pixels) in enumerate(masks)
        if (overlap := _overlap(track, box, pixels)) >= STITCH_IOU
    )
    by_id = {track.object_id: track for track in tracks}
    found: dict[int, LinkedObject] = {}
    for _, _, object_id, number in pairs:
        if number not in found and object_id in by_id:
            found[number] = by_id.pop(object_id)
    return found


def paint(labels: npt.NDArray[np.uint16], masks: Sequence[Mask], object_ids: Iterable[int]) -> None:
    """Write a frame's objects into its slice of a label map; the surer one is on top.

    Args:
        labels: uint16, shape (H, W), 0 is background; changed in place.
        masks: of this frame.
        object_ids: of each mask's object.
    """
    layers = sorted(zip(masks, object_ids, strict=True), key=lambda layer: layer[0].joint)
    for mask, object_id in layers:
        labels[rle.decode(mask.rle)] = object_id


def _overlap(track: LinkedObject, box: Box, pixels: BinaryMask) -> float:
    # Most pairs do not even touch, and a mask IoU reads every pixel.
    return mask_iou(track.mask, pixels) if box_iou(track.box, box) > 0.0 else 0.0


def _to_object(
    track: LinkedObject, *, frames: int, voxel_ml: float | None, longest: Longest
) -> VolumeObject:
    return VolumeObject(
        object_id=track.object_id,
        first=track.first,
        last=track.last,
        frames=track.frames,
        gaps=tuple(track.gaps),
        single=track.frames == 1 and frames > 1,
        voxels=track.voxels,
        volume_ml=None if voxel_ml is None else track.voxels * voxel_ml,
        lowest_joint=track.lowest_joint,
        longest=longest(track.corners),
    )
