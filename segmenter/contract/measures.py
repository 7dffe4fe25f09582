"""What is measured of masks: numbers with their units, never a diagnosis.

Lengths and areas are of pixels as squares, so between outer edges: a mask of one pixel is 1 px
wide. Points are (x, y) in pixels, as the corners of boxes are. Millimetres are there only where the
spacing of the picture is known, and `spacing_source` says whence.
"""

from typing import Annotated, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
from pydantic import Field

from segmenter.contract.images import Fraction, Frozen

Point = tuple[float, float]
# A corner of a voxel: x and y in pixels of a frame, and the index of the frame it begins.
VoxelCorner = tuple[int, int, int]
# Hounsfield units; what the file stores, in no known unit; luma of a picture, 0 to 255.
ValueUnit = Literal["HU", "stored value", "grey level"]
Side = Literal["left", "middle", "right"]
Positive = Annotated[float, Field(gt=0.0)]
NotNegative = Annotated[float, Field(ge=0.0)]


class PixelValues(NamedTuple):
    """What the pixels of a picture mean, before any window.

    Attributes:
        pixels: float32, shape (H, W), upright; NaN where nothing was measured (padding).
        unit: of them.
    """

    pixels: npt.NDArray[np.float32]
    unit: ValueUnit


class Length(Frozen):
    """A length; `mm` is None where the spacing is not known."""

    px: NotNegative
    mm: NotNegative | None = None


class Line(Length):
    """A straight line between two points of a mask's outline.

    It is chosen by its length in mm where the spacing is known, and `px` is then the length of the
    same line: with pixels that are not square another line may be longer in px.
    """

    start: Point
    end: Point


class Intensity(Frozen):
    """The values under a mask.

    Attributes:
        mean: of all its pixels that have a value.
        std: their standard deviation, of the pixels as the whole population.
    """

    mean: float
    std: NotNegative
    unit: ValueUnit


class Measures(Frozen):
    """One mask in numbers; docs/measures.md has the rule of each.

    Attributes:
        area_px: number of pixels.
        longest: longest diameter: the two points of the outline that are farthest apart.
        short: short axis: the longest chord across it, at a right angle.
        width: of the box around it.
        height: of the box around it.
        perimeter: of the outlines of all pieces and holes, as a smooth curve would have.
        centroid: mean of its pixels.
        equivalent_diameter: of the circle of the same area.
        circularity: 4 pi area / perimeter^2, at most 1; 1 is a circle.
        picture_share: of the picture's pixels.
        image_side: half of the picture, as it is seen, that the centroid is in; never the patient's
            side.
        edge_distance: from the mask to the nearest edge of the picture.
        touches_edge: a pixel of it lies on an edge of the picture, and it may go on outside.
        pieces: number of its 8-connected components.
        intensity: None where no pixel has a value, or the values could not be read.
        spacing_source: tag or field that the millimetres rest on; None: there are none.
    """

    area_px: Annotated[int, Field(ge=1)]
    area_mm2: Positive | None = None
    longest: Line
    short: Line
    width: Length
    height: Length
    perimeter: Length
    centroid: Point
    equivalent_diameter: Length
    circularity: Fraction
    picture_share: Fraction
    image_side: Side
    edge_distance: Length
    touches_edge: bool
    pieces: Annotated[int, Field(ge=1)]
    intensity: Intensity | None = None
    spacing_source: str | None = None


class PairMeasures(Frozen):
    """Two masks of one picture, the first against the second.

    Attributes:
        area_ratio: area of the first / area of the second.
        vertical_ratio: height of the first / height of the second; the same in mm and px.
        horizontal_ratio: width of the first / width of the second; likewise.
        difference_px: area of the first - area of the second.
        difference_mm2: the same in mm2.
        shared_px: pixels that are in both.
        shared_mm2: the same in mm2.
        share_of_first: of the first mask's area, how much is in the second.
        share_of_second: of the second mask's area, how much is in the first.
        iou: pixels in both / pixels in either.
        spacing_source: as in `Measures`.
    """

    area_ratio: Positive
    vertical_ratio: Positive
    horizontal_ratio: Positive
    difference_px: int
    difference_mm2: float | None = None
    shared_px: Annotated[int, Field(ge=0)]
    shared_mm2: NotNegative | None = None
    share_of_first: Fraction
    share_of_second: Fraction
    iou: Fraction
    spacing_source: str | None = None


class Line3d(Frozen):
    """The longest diameter of an object in a volume, between corners of its voxels."""

    mm: Positive
    start: VoxelCorner
    end: VoxelCorner
