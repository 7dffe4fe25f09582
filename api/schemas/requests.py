"""What clients may send, closed and strict; and its translation into the contracts behind."""

import math
import unicodedata
from collections.abc import Sequence
from typing import Annotated, Any, Literal, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
    model_validator,
)

from agent.schemas.plan import MAX_ROUNDS
from agent.schemas.runs import MAX_REQUEST_CHARS, AgentRequest
from api.schemas import rules
from segmenter.contract import (
    MAX_BOXES,
    MAX_MASKS,
    MAX_POINTS,
    MAX_PROMPTS,
    MAX_RLE_CHARS,
    MAX_TEXT_CHARS,
    Box,
    Fraction,
    ImageRef,
    Kind,
    Postprocess,
    Prompt,
    SegmentRequest,
)

BOX_SCHEMA = {
    "type": "array",
    "items": {"type": "number", "exclusiveMinimum": -1e9, "exclusiveMaximum": 1e9},
    "minItems": 4,
    "maxItems": 4,
    "description": "x0, y0, x1, y1: half-open, pixels of the original upright image",
    "examples": [[222, 151, 307, 212]],
}
IMAGE_NOTE = "base64, or a data URI; URLs are never fetched"
MAX_EDITS = 20
# What the agent reads where edits come without words: it names nothing and orders nothing.
EDITS_ALONE = "Mark this"
# A form sends line ends as both of them.
LINE_CHARS = "\n\r\t"


def _sides(value: object) -> object:
    """Turn four numbers into a box's fields; a box and its fields stay as they are."""
    if isinstance(value, Box | dict):
        return value
    if not isinstance(value, list | tuple) or not _are_sides(value):
        raise ValueError("a box is four finite numbers: x0, y0, x1, y1")
    return dict(zip(("x0", "y0", "x1", "y1"), map(float, value), strict=True))


def _are_sides(value: Sequence[object]) -> bool:
    return len(value) == 4 and all(_is_number(side) for side in value)


def _is_number(side: object) -> bool:
    # Far beyond any image; a longer integer would not become a float.
    return (
        isinstance(side, int | float)
        and not isinstance(side, bool)
        and abs(side) < 1e9
        and math.isfinite(side)
    )


def _whole(value: object) -> object:
    """Take 3.0 for 3, as JSON schema does."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _one_line(text: str) -> str:
    """Refuse control characters: models and terminals may do anything with them."""
    if any(unicodedata.category(letter) == "Cc" for letter in text):
        raise ValueError("must not hold control characters")
    return text


def _lines(text: str) -> str:
    """Refuse control characters but line ends and tabs."""
    _one_line(text.translate(dict.fromkeys(map(ord, LINE_CHARS))))
    return text


def _stripped(text: str) -> str:
    if not text.strip():
        raise ValueError("must not be blank")
    return text.strip()


Whole = BeforeValidator(_whole)
BoxIn = Annotated[Box, BeforeValidator(_sides), WithJsonSchema(BOX_SCHEMA)]
ImageText = Annotated[str, Field(min_length=1, description=IMAGE_NOTE)]
ImageId = Annotated[str, Field(pattern=r"^img_[0-9a-f]{64}$", description="from POST /images")]
ThreadId = Annotated[str, Field(pattern=r"^thr_[A-Za-z0-9]{1,64}$")]
ConceptText = Annotated[
    str,
    Field(min_length=1, max_length=MAX_TEXT_CHARS, json_schema_extra=rules.WORDS_ON_A_LINE),
    AfterValidator(_stripped),
    AfterValidator(_one_line),
]
Label = Annotated[
    str,
    Field(min_length=1, max_length=MAX_TEXT_CHARS, json_schema_extra=rules.LINE),
    AfterValidator(_one_line),
]
Words = Annotated[
    str,
    Field(min_length=1, max_length=MAX_REQUEST_CHARS, json_schema_extra=rules.WORDS),
    AfterValidator(_stripped),
    AfterValidator(_lines),
]


ModelT = TypeVar("ModelT", bound=BaseModel)


class Body(BaseModel):
    """Closed and strict: what is not understood is refused, not ignored."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    def to(self, model: type[ModelT], **own: object) -> ModelT:
        """Make a model of the domain of the fields that both have, and of its `own`."""
        names = type(self).model_fields.keys() & model.model_fields.keys()
        shared = {name: getattr(self, name) for name in names}
        return model.model_validate(shared | own, from_attributes=True)


class BoxPromptIn(Body):
    """A box as a prompt."""

    box: BoxIn
    label: Literal["positive", "negative"] = "positive"


class PointIn(Body):
    """A point as a prompt: on the object, or (negative) beside it; pixels, as corners of boxes."""

    x: Annotated[float, Field(ge=0, lt=1e9)]
    y: Annotated[float, Field(ge=0, lt=1e9)]
    label: Literal["positive", "negative"] = "positive"


class MaskIn(Body):
    """COCO run lengths, as answers hold them: size is [height, width] of the image."""

    size: Annotated[
        tuple[Annotated[int, Whole], Annotated[int, Whole]], Field(examples=[[331, 400]])
    ]
    counts: Annotated[str, Field(max_length=MAX_RLE_CHARS)]


POSITIVE = {"properties": {"label": {"const": "positive"}}}
# What `segmenter.contract.Prompt` asks for, in two kinds.
CONCEPT_RULE = rules.both(
    {"properties": {"kind": {"enum": [None, "concept"]}, "points": {"maxItems": 0}}},
    rules.left_out("mask"),
    rules.either(
        rules.given("text"),
        {"required": ["boxes"], "properties": {"boxes": {"contains": POSITIVE}}},
    ),
)
OBJECT_RULE = rules.both(
    {"properties": {"boxes": {"maxItems": 1, "items": POSITIVE}}},
    rules.left_out("text"),
    rules.either(
        rules.given("mask"),
        rules.given(kind={"const": "object"}, boxes={"minItems": 1}),
        rules.given(points={"contains": POSITIVE}),
    ),
    {"properties": {"kind": {"enum": [None, "object"]}}},
)


class PromptIn(Body):
    """One prompt: every instance of a concept (text, boxes), or one object (points, box, mask)."""

    model_config = ConfigDict(json_schema_extra=rules.either(CONCEPT_RULE, OBJECT_RULE))

    text: ConceptText | None = None
    boxes: Annotated[tuple[BoxPromptIn, ...], Field(max_length=MAX_BOXES)] = ()
    points: Annotated[tuple[PointIn, ...], Field(max_length=MAX_POINTS)] = ()
    mask: Annotated[MaskIn | None, Field(description="the object as found before")] = None
    kind: Annotated[
        Kind | None, Field(description="null: object if there are points or a mask, else concept")
    ] = None

    @model_validator(mode="after")
    def _asks_for_something(self) -> "PromptIn":
        try:
            self.to_prompt()
        except ValidationError as error:
            # The one rule that the contract holds and these fields do not.
            raise ValueError(error.errors()[0]["msg"].removeprefix("Value error, ")) from None
        return self

    def to_prompt(self) -> Prompt:
        """Translate into the segmenter's words."""
        pointed = self.points or self.mask is not None
        return self.to(Prompt, kind=self.kind or ("object" if pointed else "concept"))


class ImagePart(Body):
    """Where a request's image comes from: its bytes, or an earlier upload."""

    image: ImageText | None = None
    image_id: ImageId | None = None


def _with_shortcuts(schema: dict[str, Any]) -> None:
    """Add the short forms, which `api.schemas.shortcuts` spells out before a body is checked."""
    text = {"type": "string", "minLength": 1, "maxLength": MAX_TEXT_CHARS, **rules.WORDS_ON_A_LINE}
    texts = {"type": "array", "items": text, "maxItems": MAX_PROMPTS}
    boxes = {"type": "array", "items": BOX_SCHEMA, "minItems": 1, "maxItems": MAX_BOXES}
    schema["properties"]["concept"] = {
        "anyOf": [text, texts, rules.NULL],
        "description": "in place of prompts: one prompt for each text",
    }
    schema["properties"]["box"] = {
        "anyOf": [BOX_SCHEMA, boxes, rules.NULL],
        "description": "in place of prompts: alone, or with one concept",
    }
    del schema["required"]
    schema |= rules.both(rules.one_of("image", "image_id"), SHORTCUTS_RULE)


NO_CONCEPT = rules.either(rules.NULL, {"type": "array", "maxItems": 0})
SEVERAL_CONCEPTS = {"type": "array", "minItems": 2}
NO_SHORTCUTS = {"properties": {"concept": NO_CONCEPT, "box": rules.NULL}}
SHORTCUTS_RULE = rules.either(
    rules.both({"required": ["prompts"]}, NO_SHORTCUTS),
    rules.both(
        {"not": {"required": ["prompts"]}},
        rules.either(rules.given(concept={"not": NO_CONCEPT}), rules.given("box")),
        rules.either(
            {"not": {"required": ["concept"], "properties": {"concept": SEVERAL_CONCEPTS}}},
            rules.left_out("box"),
        ),
    ),
)


class SegmentBody(ImagePart):
    """Direct prompts on one image; every prompt gets its own result."""

    model_config = ConfigDict(json_schema_extra=_with_shortcuts)

    prompts: Annotated[tuple[PromptIn, ...], Field(min_length=1, max_length=MAX_PROMPTS)]
    threshold: Annotated[
        Fraction | None, Field(description="masks below it are dropped; null: the model's own")
    ] = None
    nms_iou: Annotated[
        Fraction, Field(description="of two masks of one prompt overlapping more, one is dropped")
    ] = 0.5
    max_masks: Annotated[
        int, Field(ge=1, le=MAX_MASKS, description="per prompt, best first"), Whole
    ] = 20
    adapter: Annotated[
        str | None,
        Field(pattern=r"^[a-z0-9_-]{1,64}$", description="of GET /capabilities; null: its first"),
    ] = None
    postprocess: Annotated[
        Postprocess | None,
        Field(description="sam3: joint score; medsam3: raw score and box NMS; null: its first"),
    ] = None
    include_png: Annotated[bool, Field(description="add each mask as a base64 PNG")] = False

    def to_request(self, image: ImageRef) -> SegmentRequest:
        """Translate into the segmenter's words."""
        prompts = tuple(prompt.to_prompt() for prompt in self.prompts)
        return self.to(SegmentRequest, image=image, prompts=prompts)


class EditIn(Body):
    """A person's word on a thread: accept or reject a mask, or give a box for a target."""

    model_config = ConfigDict(
        json_schema_extra=rules.either(
            rules.both(rules.given("box", action={"const": "box"}), rules.left_out("mask_id")),
            rules.both(
                rules.given("mask_id", action={"enum": ["accept", "reject"]}),
                rules.left_out("box", "label"),
            ),
        )
    )

    action: Literal["accept", "reject", "box"]
    mask_id: Annotated[str, Field(pattern=r"^m[1-9][0-9]{0,5}$")] | None = None
    box: BoxIn | None = None
    label: Label | None = None

    @model_validator(mode="after")
    def _is_complete(self) -> "EditIn":
        if self.action == "box":
            if self.box is None or self.mask_id is not None:
                raise ValueError("box needs a box, and no mask_id")
        elif self.mask_id is None or self.box is not None or self.label is not None:
            raise ValueError(f"{self.action} needs mask_id, and neither box nor label")
        return self


# Without a thread there are no masks to accept or reject.
BOXES_ONLY = {"properties": {"action": {"const": "box"}}}


class AgentBody(ImagePart):
    """A request in plain clinical words; in a thread the image is known already."""

    model_config = ConfigDict(
        json_schema_extra=rules.both(
            rules.one_at_most("image", "image_id"),
            rules.either(rules.given("image"), rules.given("image_id"), rules.given("thread_id")),
            rules.either(rules.given("request"), rules.given("thread_id", edits={"minItems": 1})),
            rules.either(
                rules.given("thread_id"), {"properties": {"edits": {"items": BOXES_ONLY}}}
            ),
        )
    )

    thread_id: ThreadId | None = None
    box: BoxIn | None = None
    max_rounds: Annotated[int, Field(ge=1, le=MAX_ROUNDS), Whole] = MAX_ROUNDS
    planner: Literal["auto", "rules", "gemini", "openai"] = "auto"
    edits: Annotated[tuple[EditIn, ...], Field(max_length=MAX_EDITS)] = ()
    max_seconds: Annotated[
        float | None, Field(ge=1.0, description="end sooner than the service's own limit")
    ] = None
    max_tokens: Annotated[
        int | None,
        Field(ge=1, description="of the MLLM; then the run ends with what it has"),
        Whole,
    ] = None
    if_busy: Annotated[
        Literal["refuse", "wait"],
        Field(description="while another run of the thread goes on: 409, or wait for its end"),
    ] = "refuse"
    # After thread_id and edits: its check looks at them.
    request: Annotated[
        Words | None,
        Field(
            validate_default=True,
            examples=["Outline the breast tumour"],
            description="may be left out where edits of a thread say it all",
        ),
    ] = None

    @field_validator("request")
    @classmethod
    def _says_something(cls, request: str | None, info: ValidationInfo) -> str | None:
        # What is wrong itself is not there; one finding is enough.
        edited = info.data.get("edits", True) and info.data.get("thread_id", True)
        if request is None and not edited:
            raise ValueError("this field is needed, unless there are edits of a thread_id")
        return request

    def to_request(self, image: ImageRef | None) -> AgentRequest:
        """Translate into the agent's words."""
        return self.to(
            AgentRequest,
            request=self.request or EDITS_ALONE,
            image=image,
            wait=self.if_busy == "wait" and self.thread_id is not None,
        )


class ImageBody(Body):
    """One image; in a form it is a file."""

    model_config = ConfigDict(json_schema_extra=rules.both(rules.given("image")))

    image: ImageText | None = None
