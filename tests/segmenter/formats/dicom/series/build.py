"""Slices of a series and frames of enhanced objects, made in code."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from pydicom.dataset import Dataset
from pydicom.uid import CTImageStorage, EnhancedMRImageStorage, UltrasoundMultiFrameImageStorage

from tests.segmenter.formats.build import dicom

SERIES, OTHER = "1.2.3.1", "1.2.3.2"
AXIAL = ["1", "0", "0", "0", "1", "0"]
ROWS, COLUMNS = 6, 8


def text(value: float, digits: int | None = None) -> str:
    return f"{value:g}" if digits is None else f"{value:.{digits}f}".rstrip("0").rstrip(".")


def one_slice(
    z: float,
    *,
    x: str = "1",
    y: str = "2",
    digits: int | None = None,
    value: int = 100,
    **tags: Any,
) -> bytes:
    """A CT slice of 6 x 8 pixels of 0.5 x 0.75 mm at (x, y, z)."""
    pixels = np.full((ROWS, COLUMNS), value, dtype=np.int16)
    pixels[0, 0] = 0
    known: dict[str, Any] = {
        "SOPClassUID": CTImageStorage,
        "Modality": "CT",
        "SeriesInstanceUID": SERIES,
        "FrameOfReferenceUID": "1.2.3.9",
        "ImagePositionPatient": [x, y, text(z, digits)],
        "ImageOrientationPatient": AXIAL,
        "PixelSpacing": ["0.5", "0.75"],
    }
    return dicom(pixels, **(known | tags))


def stack(positions: Iterable[float], **tags: Any) -> list[bytes]:
    """Slices whose values are 10, 20, 30 ... in the order given."""
    return [one_slice(z, value=10 * i, **tags) for i, z in enumerate(positions, 1)]


def item(**tags: Any) -> Dataset:
    found = Dataset()
    for keyword, value in tags.items():
        setattr(found, keyword, value)
    return found


def group(
    position: Sequence[float] | None = None,
    *,
    orientation: Sequence[str] | None = None,
    content: dict[str, Any] | None = None,
    **macros: Dataset,
) -> Dataset:
    """The functional groups of one frame."""
    made: dict[str, Any] = {name: [macro] for name, macro in macros.items()}
    if position is not None:
        place = item(ImagePositionPatient=[text(side) for side in position])
        made["PlanePositionSequence"] = [place]
    if orientation is not None:
        made["PlaneOrientationSequence"] = [item(ImageOrientationPatient=list(orientation))]
    if content is not None:
        made["FrameContentSequence"] = [item(**content)]
    return item(**made)


def enhanced(groups: Sequence[Dataset], values: Sequence[int] | None = None, **tags: Any) -> bytes:
    """An enhanced MR object of one frame a group; values are 10, 20, 30 ... unless given."""
    values = values or [10 * i for i in range(1, len(groups) + 1)]
    pixels = np.stack([np.full((ROWS, COLUMNS), value, np.int16) for value in values])
    pixels[:, 0, 0] = 0
    measures = item(PixelSpacing=["0.5", "0.75"], SliceThickness="3")
    shared = group(orientation=AXIAL, PixelMeasuresSequence=measures)
    known: dict[str, Any] = {
        "SOPClassUID": EnhancedMRImageStorage,
        "Modality": "MR",
        "SeriesInstanceUID": SERIES,
        "NumberOfFrames": len(groups),
        "SharedFunctionalGroupsSequence": [shared],
        "PerFrameFunctionalGroupsSequence": list(groups),
    }
    return dicom(pixels, **(known | tags))


def clip(count: int, **tags: Any) -> bytes:
    """A multi-frame ultrasound object without functional groups."""
    pixels = np.stack([np.full((ROWS, COLUMNS), 10 * i, np.uint8) for i in range(1, count + 1)])
    known: dict[str, Any] = {
        "SOPClassUID": UltrasoundMultiFrameImageStorage,
        "Modality": "US",
        "SeriesInstanceUID": SERIES,
        "NumberOfFrames": count,
    }
    return dicom(pixels, **(known | tags))
