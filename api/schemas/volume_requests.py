"""What clients may send for a volume or video, closed and strict, and its translation."""

from typing import Annotated

from pydantic import BeforeValidator, ConfigDict, Field, WithJsonSchema, model_validator

from api.schemas import rules
from api.schemas.requests import Body, BoxIn, ConceptText, Label, Whole
from api.schemas.shortcuts import numbers_of_text
from segmenter.contract import Fraction, FrameBox
from segmenter.volumes.contract import (
    MAX_FILES,
    SERIES_PATTERN,
    GreyWindow,
    SeriesChoice,
    VolumeRequest,
)

WINDOW_SCHEMA = {
    "type": "array",
    "prefixItems": [{"type": "number"}, {"type": "number", "exclusiveMinimum": 0}],
    "items": {"type": "number"},
    "minItems": 2,
    "maxItems": 2,
    "description": "center and width of the grey window, in the file's own units",
    "examples": [[40, 400]],
}
# Far beyond any sequence; a longer number is no index.
MAX_INDEX = 10**6


def _window(value: object) -> object:
    """Turn two numbers into a window's fields."""
    if isinstance(value, GreyWindow | dict):
        return value
    if not isinstance(value, list | tuple) or len(value) != 2:
        raise ValueError("a window is two numbers: center, width")
    return dict(zip(("center", "width"), value, strict=True))


def _series(value: object) -> object:
    """Take a number for its text."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


SERIES_SCHEMA = {
    "anyOf": [
        {"type": "string", "pattern": SERIES_PATTERN},
        {"type": "integer", "minimum": 0},
    ]
}
SeriesIn = Annotated[SeriesChoice, BeforeValidator(_series), WithJsonSchema(SERIES_SCHEMA)]
WindowIn = Annotated[GreyWindow, BeforeValidator(_window), WithJsonSchema(WINDOW_SCHEMA)]
FrameIndex = Annotated[int, Field(ge=0, le=MAX_INDEX), Whole]
VolumeId = Annotated[str, Field(pattern=r"^vol_[0-9a-f]{32}$")]


class VolumeBody(Body):
    """One concept, one box on one frame, or both; and where the frames come from."""

    model_config = ConfigDict(
        json_schema_extra=rules.both(
            rules.given("volume_id"),
            rules.either(rules.given("prompt"), rules.given("box")),
            rules.together("box", "frame"),
            rules.one_at_most("window", "preset"),
        )
    )

    volume_id: Annotated[
        VolumeId | None, Field(description="in place of files: those of an earlier volume")
    ] = None
    prompt: Annotated[ConceptText | None, Field(examples=["left ventricle"])] = None
    box: Annotated[BoxIn | None, Field(description="the object in it is followed")] = None
    frame: Annotated[FrameIndex | None, Field(description="the one that box is on")] = None
    first: Annotated[FrameIndex, Field(description="first frame looked at, from 0")] = 0
    last: Annotated[FrameIndex | None, Field(description="last frame looked at")] = None
    threshold: Annotated[
        Fraction | None, Field(description="masks below it are dropped; null: the model's own")
    ] = None
    window: WindowIn | None = None
    preset: Annotated[Label | None, Field(description="a named window, for CT")] = None
    series: Annotated[
        SeriesIn | None,
        Field(description="of several DICOM series: its number, from 1, or SeriesInstanceUID"),
    ] = None
    volume: Annotated[
        Annotated[int, Field(ge=1, le=MAX_FILES), Whole] | None,
        Field(description="of several volumes (phases, times): its number, from 1"),
    ] = None

    @model_validator(mode="after")
    def _is_complete(self) -> "VolumeBody":
        if self.prompt is None and self.box is None:
            raise ValueError("a prompt or a box is needed")
        if (self.box is None) is not (self.frame is None):
            raise ValueError("box and frame go together")
        if self.window is not None and self.preset is not None:
            raise ValueError("give window or preset, not both")
        return self

    def to_request(self) -> VolumeRequest:
        """Translate into the segmenter's words."""
        box = None
        if self.box is not None and self.frame is not None:
            box = FrameBox(frame=self.frame, box=self.box)
        return self.to(VolumeRequest, text=self.prompt, box=box)


def window_of_text(text: str) -> list[float]:
    """Read ``center,width``; raises InvalidFields for other than two numbers."""
    return numbers_of_text("window", text, "two numbers: center,width")
