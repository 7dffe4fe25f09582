"""Images, boxes and spacings: what is pointed at, in which coordinates."""

import math
from typing import Annotated, NamedTuple

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, model_validator

RgbImage = npt.NDArray[np.uint8]
BinaryMask = npt.NDArray[np.bool_]
Fraction = Annotated[float, Field(ge=0.0, le=1.0, allow_inf_nan=False)]


class Frozen(BaseModel):
    """Immutable, closed model for everything that crosses a process or trust border."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Box(Frozen):
    """Half-open xyxy box in pixels of the original upright image."""

    x0: float
    y0: float
    x1: float
    y1: float

    @model_validator(mode="after")
    def _has_area(self) -> "Box":
        if not (self.x1 > self.x0 and self.y1 > self.y0):
            raise ValueError("a box needs x1 > x0 and y1 > y0")
        return self

    @property
    def area(self) -> float:
        """Area in square pixels."""
        return (self.x1 - self.x0) * (self.y1 - self.y0)

    def as_tuple(self) -> tuple[float, float, float, float]:
        """Return (x0, y0, x1, y1)."""
        return (self.x0, self.y0, self.x1, self.y1)


class Spacing(Frozen):
    """Physical pixel size.

    Attributes:
        row_mm: distance between rows (down), millimetres.
        column_mm: distance between columns (right), millimetres.
        source: tag or field it was read from, for example ``PixelSpacing``.
    """

    row_mm: Annotated[float, Field(gt=0.0)]
    column_mm: Annotated[float, Field(gt=0.0)]
    source: str


class ImageRef(Frozen):
    """Handle of an upload: what it shows, and under which id it is stored.

    Attributes:
        sha256: lower-case hex digest of the stored bytes, so also the key of what is computed from
            them, whoever uploaded them.
        upload: names this upload, as no other of the same bytes; None for one that is not stored,
            or was by version 0.2.
        width: pixels of the upright decoded image.
        height: pixels of the upright decoded image.
        format: short name of the format found in the content, for example ``png`` or ``dicom``.
        modality: what the file itself says (DICOM code such as ``US``), or None.
        spacing: physical pixel size if the file says so, or None.
        rendering: the named rule that turned stored values into uint8 (``identity``, ``window
            from tags``, ``full range``, ...).
        may_show_name: the pixels may show who the patient is: nothing in the file says otherwise.
        region: columns and rows (x0, y0, x1, y1) that hold the picture proper, without margins of
            text; None where the file does not say.
    """

    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    upload: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None
    width: Annotated[int, Field(ge=1)]
    height: Annotated[int, Field(ge=1)]
    format: str
    modality: str | None = None
    spacing: Spacing | None = None
    rendering: str = "identity"
    may_show_name: bool = False
    region: tuple[int, int, int, int] | None = None

    @property
    def id(self) -> str:
        """Public id: ``img_`` and the upload's name, or the digest where it has none."""
        return f"img_{self.upload or self.sha256}"


class Hold(NamedTuple):
    """Keeps a stored image where it is while somebody works on it.

    Attributes:
        holder: a request or run; one that holds an image again holds it longer.
        seconds: at most so long, in case that nobody lets it go.
    """

    holder: str
    seconds: float


def is_finite_box(box: tuple[float, float, float, float]) -> bool:
    """Tell whether four numbers are finite and span a positive area."""
    x0, y0, x1, y1 = box
    return all(math.isfinite(side) for side in box) and x1 > x0 and y1 > y0
