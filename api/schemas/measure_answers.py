"""What clients get of the measures of masks: the records of the contract, each field explained."""

from typing import Annotated, Literal

from pydantic import Field

from api.schemas.answer import Answer

PointOut = Annotated[
    tuple[float, float],
    Field(description="x, y in pixels, as the corners of boxes", examples=[[222.0, 151.0]]),
]
VoxelCornerOut = Annotated[
    tuple[int, int, int],
    Field(description="x and y in pixels of a shown frame, and the frame", examples=[[31, 40, 7]]),
]


class LengthOut(Answer):
    """A length between outer edges of pixels; `mm` is null unless the spacing is known."""

    px: float
    mm: float | None


class LineOut(LengthOut):
    """A line between two points of the outline, chosen by its mm where the spacing is known."""

    start: PointOut
    end: PointOut


class Line3dOut(Answer):
    """A line between outer corners of voxels."""

    mm: float
    start: VoxelCornerOut
    end: VoxelCornerOut


class IntensityOut(Answer):
    """The stored values under a mask: Hounsfield units of CT, or the luma of a picture, 0..255."""

    mean: float
    std: float
    unit: Literal["HU", "stored value", "grey level"]


class MeasuresOut(Answer):
    """What was measured of a mask: estimates of its outline, not a diagnosis."""

    area_px: int
    area_mm2: float | None
    longest: Annotated[LineOut, Field(description="longest diameter, between outline points")]
    short: Annotated[
        LineOut, Field(description="short axis: the longest chord at a right angle to it")
    ]
    width: Annotated[LengthOut, Field(description="of the box around it")]
    height: Annotated[LengthOut, Field(description="of the box around it")]
    perimeter: Annotated[LengthOut, Field(description="of all outlines, holes included (Crofton)")]
    centroid: PointOut
    equivalent_diameter: Annotated[LengthOut, Field(description="of a circle of the same area")]
    circularity: Annotated[float, Field(description="4 pi area / perimeter^2, at most 1")]
    picture_share: Annotated[float, Field(description="of the picture's pixels, 0..1")]
    image_side: Annotated[
        Literal["left", "middle", "right"],
        Field(description="half of the picture, as seen, with the centroid; not the patient's"),
    ]
    edge_distance: Annotated[LengthOut, Field(description="to the nearest edge of the picture")]
    touches_edge: Annotated[bool, Field(description="it may go on outside of the picture")]
    pieces: Annotated[int, Field(description="8-connected components")]
    intensity: Annotated[
        IntensityOut | None, Field(description="null where no value could be read")
    ]
    spacing_source: Annotated[str | None, Field(examples=["PixelSpacing"])]
