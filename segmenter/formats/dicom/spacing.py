"""Physical pixel size of a DICOM picture, and the tag that says so."""

import math
from collections.abc import Sequence

from pydicom.dataset import Dataset

from segmenter.contract import Spacing
from segmenter.formats.dicom.values import numbers, of_frame

_CENTIMETRES = 3
_TISSUE_2D = 1
MM_PER_CM = 10.0


def read_spacing(header: Dataset) -> Spacing | None:
    """Return the spacing by PixelSpacing, else ImagerPixelSpacing, else ultrasound regions.

    ImagerPixelSpacing is measured at the detector: things nearer to the tube are smaller than it
    says. `Spacing.source` tells which one it is.
    """
    holder = of_frame(header, "PixelMeasuresSequence", "PixelSpacing")
    return (
        _spacing(numbers(holder, "PixelSpacing"), "PixelSpacing")
        or _spacing(numbers(header, "ImagerPixelSpacing"), "ImagerPixelSpacing")
        or _region_spacing(header)
    )


def _spacing(sides_mm: Sequence[float], source: str) -> Spacing | None:
    if len(sides_mm) != 2 or not all(math.isfinite(side) and side > 0 for side in sides_mm):
        return None
    return Spacing(row_mm=sides_mm[0], column_mm=sides_mm[1], source=source)


def _region_spacing(header: Dataset) -> Spacing | None:
    """Return the deltas that all 2-D regions in centimetres share; None if they differ.

    Source: PS3.3, C.8.5.5 (US Region Calibration).
    """
    regions = header.get("SequenceOfUltrasoundRegions") or ()
    deltas = {delta for region in regions if (delta := _deltas_mm(region))}
    return _spacing(deltas.pop(), "SequenceOfUltrasoundRegions") if len(deltas) == 1 else None


def _deltas_mm(region: Dataset) -> tuple[float, float] | None:
    units = {region.get("PhysicalUnitsXDirection"), region.get("PhysicalUnitsYDirection")}
    if region.get("RegionSpatialFormat") != _TISSUE_2D or units != {_CENTIMETRES}:
        return None
    down, right = numbers(region, "PhysicalDeltaY"), numbers(region, "PhysicalDeltaX")
    if len(down) != 1 or len(right) != 1:
        return None
    return abs(down[0]) * MM_PER_CM, abs(right[0]) * MM_PER_CM
