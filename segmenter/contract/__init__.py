"""The segmenter's contract: what callers say and what they get. No torch, no redis, no Pillow.

Pixel convention, written once: an image is uint8, shape (H, W, 3), RGB, upright. A box is xyxy
floats in pixels of that image, half-open, origin at the outer corner of the top-left pixel. A mask
is bool, shape (H, W), in memory and COCO run lengths on the wire.
"""

from segmenter.contract.frames import FrameBox, FrameMasks, Index
from segmenter.contract.images import (
    BinaryMask,
    Box,
    Fraction,
    Frozen,
    Hold,
    ImageRef,
    RgbImage,
    Spacing,
    is_finite_box,
)
from segmenter.contract.jobs import Failure, JobEvent, JobState
from segmenter.contract.measures import (
    Intensity,
    Length,
    Line,
    Line3d,
    Measures,
    PairMeasures,
    PixelValues,
    Side,
    ValueUnit,
)
from segmenter.contract.prompts import (
    MAX_BOXES,
    MAX_MASKS,
    MAX_POINTS,
    MAX_PROMPTS,
    MAX_RLE_CHARS,
    MAX_TEXT_CHARS,
    BoxPrompt,
    Kind,
    Label,
    PointPrompt,
    Postprocess,
    Prompt,
    Rle,
    SegmentRequest,
)
from segmenter.contract.protocols import Entry, ImageStore, RecordStore, Segmenter
from segmenter.contract.results import Capabilities, Mask, ModelInfo, PromptResult, SegmentResult

__all__ = [
    "MAX_BOXES",
    "MAX_MASKS",
    "MAX_POINTS",
    "MAX_PROMPTS",
    "MAX_RLE_CHARS",
    "MAX_TEXT_CHARS",
    "BinaryMask",
    "Box",
    "BoxPrompt",
    "Capabilities",
    "Entry",
    "Failure",
    "Fraction",
    "FrameBox",
    "FrameMasks",
    "Frozen",
    "Hold",
    "ImageRef",
    "ImageStore",
    "Index",
    "Intensity",
    "JobEvent",
    "JobState",
    "Kind",
    "Label",
    "Length",
    "Line",
    "Line3d",
    "Mask",
    "Measures",
    "ModelInfo",
    "PairMeasures",
    "PixelValues",
    "PointPrompt",
    "Postprocess",
    "Prompt",
    "PromptResult",
    "RecordStore",
    "RgbImage",
    "Rle",
    "SegmentRequest",
    "SegmentResult",
    "Segmenter",
    "Side",
    "Spacing",
    "ValueUnit",
    "is_finite_box",
]
