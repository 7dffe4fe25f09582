"""Whether a request fits its sequence: the range of frames, and the box on one of them. Pure."""

from segmenter.errors import InvalidPrompt
from segmenter.masks.geometry import clip_box
from segmenter.volumes.contract import VolumeRequest, VolumeShape


def frame_range(request: VolumeRequest, shape: VolumeShape) -> tuple[int, int]:
    """Return the first and the last frame to look at.

    Raises:
        InvalidPrompt: not frames of this sequence, or the box is on none of them.
    """
    last = shape.frames - 1 if request.last is None else request.last
    if last >= shape.frames:
        message = f"the sequence has {shape.frames} frames, the last one is {shape.frames - 1}"
        raise InvalidPrompt(message, field="last")
    if request.first > last:
        raise InvalidPrompt(f"must be at most {last}, the last frame", field="first")
    if request.box is not None:
        _check_box(request, last, shape)
    return request.first, last


def _check_box(request: VolumeRequest, last: int, shape: VolumeShape) -> None:
    assert request.box is not None
    if not request.first <= request.box.frame <= last:
        message = f"the box must be on one of the frames {request.first} to {last}"
        raise InvalidPrompt(message, field="box.frame")
    if clip_box(request.box.box, width=shape.width, height=shape.height) is None:
        message = f"lies outside of frames of {shape.width} x {shape.height} pixels"
        raise InvalidPrompt(message, field="box.box")
