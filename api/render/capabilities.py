"""The service's abilities as an answer. Pure."""

from typing import get_args

from agent.schemas.plan import MAX_ROUNDS, MAX_TARGETS
from agent.schemas.runs import MAX_REQUEST_CHARS
from api import DISCLAIMER, VERSION
from api.schemas.answers import CapabilitiesAnswer, LimitsOut, MemoryOut, PlannersOut
from api.schemas.requests import MAX_EDITS
from api.settings import Settings
from segmenter.contract import (
    MAX_BOXES,
    MAX_MASKS,
    MAX_POINTS,
    MAX_PROMPTS,
    MAX_TEXT_CHARS,
    Capabilities,
)
from segmenter.formats.limits import DEFAULT_LIMITS
from segmenter.formats.sniff import Format

MASK_FORMATS = ("coco-rle", "png")


def to_capabilities(
    found: Capabilities, planners: tuple[str, ...], settings: Settings
) -> CapabilitiesAnswer:
    """Join what the model says and what this service allows."""
    return CapabilitiesAnswer.of(
        found,
        version=VERSION,
        planners=PlannersOut(available=planners, default=planners[0]),
        egress=settings.egress,
        image_formats=get_args(Format),
        mask_formats=MASK_FORMATS,
        limits=_limits(settings),
        memory=MemoryOut(budget=settings.memory_bytes, **settings.memory_shares()._asdict()),
        disclaimer=DISCLAIMER,
    )


def _limits(settings: Settings) -> LimitsOut:
    return LimitsOut.of(
        settings,
        max_pixels=DEFAULT_LIMITS.max_pixels,
        max_side=DEFAULT_LIMITS.max_side,
        max_prompts=MAX_PROMPTS,
        max_boxes=MAX_BOXES,
        max_points=MAX_POINTS,
        max_masks=MAX_MASKS,
        max_text_chars=MAX_TEXT_CHARS,
        max_request_chars=MAX_REQUEST_CHARS,
        max_targets=MAX_TARGETS,
        max_edits=MAX_EDITS,
        max_rounds=MAX_ROUNDS,
    )
