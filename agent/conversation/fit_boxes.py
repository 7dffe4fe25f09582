"""Fits the boxes of a request to its image, once, before anything is compared with them. Pure."""

from agent.errors import InvalidRequest
from agent.policy.calls import MIN_BOX_PX
from agent.schemas.runs import AgentRequest, Edit
from segmenter.contract import Box, ImageRef
from segmenter.masks.geometry import clip_box


def fit_boxes(request: AgentRequest, image: ImageRef) -> AgentRequest:
    """Return the request with its boxes cut to the image.

    Raises:
        InvalidRequest: a box misses the image, or what is left of it shows nothing.
    """
    box = None if request.box is None else _fit(request.box, image, "box")
    edits = tuple(_fit_edit(edit, image, index) for index, edit in enumerate(request.edits))
    return request.model_copy(update={"box": box, "edits": edits})


def _fit_edit(edit: Edit, image: ImageRef, index: int) -> Edit:
    if edit.box is None:
        return edit
    return edit.model_copy(update={"box": _fit(edit.box, image, f"edits[{index}].box")})


def _fit(box: Box, image: ImageRef, field: str) -> Box:
    size = f"the image of {image.width} x {image.height} pixels"
    cut = clip_box(box, width=image.width, height=image.height)
    if cut is None:
        raise InvalidRequest(f"lies outside of {size}", field=field)
    if min(cut.x1 - cut.x0, cut.y1 - cut.y0) < MIN_BOX_PX:
        limit = f"{MIN_BOX_PX:.0f} x {MIN_BOX_PX:.0f} pixels"
        raise InvalidRequest(f"covers less than {limit} of {size}", field=field)
    return cut
