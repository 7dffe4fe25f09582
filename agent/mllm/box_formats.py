"""In which coordinates a model family speaks of boxes. Pure; `planners.replies` translates."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class BoxStyle:
    """How a model writes a box.

    Attributes:
        key: name of the field, which models were trained on.
        order: ``yx`` is [y0, x0, y1, x1], ``xy`` is [x0, y0, x1, y1].
        scale: ``thousandths`` of the picture's sides, or ``pixels`` of the picture as sent.
    """

    key: Literal["box_2d", "bbox_2d"]
    order: Literal["yx", "xy"]
    scale: Literal["thousandths", "pixels"]


GEMINI_STYLE = BoxStyle("box_2d", "yx", "thousandths")
THOUSANDTHS_STYLE = BoxStyle("bbox_2d", "xy", "thousandths")
PIXELS_STYLE = BoxStyle("bbox_2d", "xy", "pixels")
# What a setting may name, above any model's name.
BOX_STYLES = {
    "gemini": GEMINI_STYLE,
    "thousandths": THOUSANDTHS_STYLE,
    "pixels": PIXELS_STYLE,
}

# First match wins. Source: reference/ecosystem.md, 5.1 (makers' documentation and issues).
_FAMILIES: tuple[tuple[str, BoxStyle], ...] = (
    ("gemini", GEMINI_STYLE),
    ("gemma", GEMINI_STYLE),
    ("qwen2.5-vl", PIXELS_STYLE),
    ("qwen2.5vl", PIXELS_STYLE),
    ("qwen", THOUSANDTHS_STYLE),
    ("glm", THOUSANDTHS_STYLE),
    ("deepseek", THOUSANDTHS_STYLE),
)


def box_style(model: str, wire: Literal["gemini", "openai"]) -> BoxStyle:
    """Return the style of a model by its name.

    Unknown names on Gemini's wire are Gemini's (aliases, tuned models); others are asked for
    pixels: the size of the picture is stated in every prompt, so these need no convention.
    """
    lowered = model.lower()
    default = GEMINI_STYLE if wire == "gemini" else PIXELS_STYLE
    return next((style for name, style in _FAMILIES if name in lowered), default)
