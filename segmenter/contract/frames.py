"""Prompts and answers on frames of a sequence."""

from typing import Annotated

from pydantic import Field

from segmenter.contract.images import Box, Frozen
from segmenter.contract.results import PromptResult

Index = Annotated[int, Field(ge=0)]


class FrameBox(Frozen):
    """A box on one frame: the object in it is followed from there, both ways."""

    frame: Index
    box: Box


class FrameMasks(Frozen):
    """What the model found on one frame, before objects are told apart."""

    index: Index
    result: PromptResult
