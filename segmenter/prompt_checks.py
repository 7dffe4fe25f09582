"""Whether a model can be asked what a request asks. Pure."""

from segmenter.contract import Capabilities, ImageRef, Prompt, SegmentRequest
from segmenter.errors import InvalidPrompt


def check_asked(request: SegmentRequest, capabilities: Capabilities) -> None:
    """Refuse what a model does not offer, and points and masks that do not fit the image.

    Raises:
        InvalidPrompt: names the field, and what there is instead.
    """
    offered = {
        "adapter": (request.adapter, capabilities.adapters),
        "postprocess": (request.postprocess, capabilities.postprocess),
    }
    for field, (asked, known) in offered.items():
        if asked is not None and asked not in known:
            there = ", ".join(known) or "none"
            raise InvalidPrompt(f"this model has no {field} {asked!r}; it has {there}", field=field)
    for prompt in request.prompts:
        _check_prompt(prompt, capabilities, request.image)


def _check_prompt(prompt: Prompt, capabilities: Capabilities, image: ImageRef) -> None:
    if prompt.points and "point" not in capabilities.prompts:
        raise InvalidPrompt("this model takes no points", field="points")
    if prompt.mask is not None and "mask" not in capabilities.prompts:
        raise InvalidPrompt("this model takes no masks", field="mask")
    size = (image.height, image.width)
    if prompt.mask is not None and prompt.mask.size != size:
        raise InvalidPrompt(
            f"a mask of {prompt.mask.size} for an image of {size} rows and columns", field="mask"
        )
    for point in prompt.points:
        if not (0 <= point.x <= image.width and 0 <= point.y <= image.height):
            raise InvalidPrompt(
                f"point ({point.x}, {point.y}) is outside the {image.width} x {image.height} image",
                field="points",
            )
