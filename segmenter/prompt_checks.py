"""Whether a request fits its image, and a model can be asked it. Pure."""

from segmenter.contract import Capabilities, ImageRef, Prompt, SegmentRequest
from segmenter.errors import InvalidPrompt
from segmenter.masks.geometry import clip_box


def check_boxes(request: SegmentRequest) -> None:
    """Refuse a box that lies outside of the image.

    Raises:
        InvalidPrompt.
    """
    width, height = request.image.width, request.image.height
    for number, prompt in enumerate(request.prompts):
        for index, prompted in enumerate(prompt.boxes):
            if clip_box(prompted.box, width=width, height=height) is None:
                raise InvalidPrompt(
                    f"box {prompted.box.as_tuple()} lies outside of {width} x {height} pixels",
                    field=f"prompts.{number}.boxes.{index}",
                )


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
