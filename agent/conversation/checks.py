"""Checks a request against its thread, once, before its run is taken on. Pure."""

from agent.errors import InvalidRequest
from agent.language.lexicon import load_lexicon
from agent.language.request import read_request
from agent.policy.calls import MIN_BOX_PX
from agent.schemas.runs import AgentRequest, Edit, ThreadRecord
from segmenter.contract import Box, ImageRef
from segmenter.masks.geometry import clip_box

# As many masks as an error can list.
MAX_LISTED = 10


def check_request(request: AgentRequest, thread: ThreadRecord) -> AgentRequest:
    """Return the request with its boxes cut to the thread's image.

    Raises:
        InvalidRequest: a box misses the image, or what is left of it shows nothing; an edit or an
            order in words is about a mask that is not there, or an edit lacks its box.
    """
    request = fit_boxes(request, thread.image)
    known = {candidate.id for candidate in thread.candidates}
    for edit in request.edits:
        _check_edit(edit, known)
    if thread.candidates:
        _check_words(request.request, known, thread)
    return request


def _check_edit(edit: Edit, known: set[str]) -> None:
    if edit.action == "box":
        if edit.box is None:
            raise InvalidRequest("an edit with a box needs the box", field="edits")
    elif edit.mask_id not in known:
        raise InvalidRequest(f"mask {edit.mask_id!r} is not part of this thread", field="edits")


def _check_words(words: str, known: set[str], thread: ThreadRecord) -> None:
    operations = read_request(words, load_lexicon()).operations
    named = [mask_id for operation in operations for mask_id in operation.masks]
    strangers = [mask_id for mask_id in named if mask_id not in known]
    if strangers:
        shown = [mask.candidate.id for result in thread.targets for mask in result.masks]
        there = f"shown now: {', '.join(shown[:MAX_LISTED])}" if shown else "none is shown now"
        more = " and others" if len(shown) > MAX_LISTED else ""
        reason = f"this thread has no mask {strangers[0]!r}; {there}{more}"
        raise InvalidRequest(reason, field="request")


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
