"""The values of a grey DICOM picture before any window: Hounsfield units, or as they are stored."""

import numpy as np
from pydicom.dataset import Dataset

from segmenter.contract import PixelValues
from segmenter.formats.dicom.grey_pipeline import is_picture, modality_values
from segmenter.formats.dicom.values import is_stated, of_frame
from segmenter.formats.grey_levels import Stored

HOUNSFIELD = "HU"


def pixel_values(stored: Stored, header: Dataset) -> PixelValues:
    """Return the values of stored pixels; padding is NaN.

    Args:
        stored: shape (H, W), any number type.
        header: the attributes.

    Raises:
        BrokenImage: slope or intercept are no numbers.
    """
    in_hounsfield = is_hounsfield(header)
    values = modality_values(stored, header) if in_hounsfield else stored.astype(np.float32)
    values[~is_picture(stored, header)] = np.nan
    return PixelValues(values, "HU" if in_hounsfield else "stored value")


def is_hounsfield(header: Dataset) -> bool:
    """Tell whether rescaling gives Hounsfield units.

    A type of rescaling says so; of CT it may be left out. Source: PS3.3, C.11.1.1.2.
    """
    if header.get("ModalityLUTSequence"):
        return str(header.ModalityLUTSequence[0].get("ModalityLUTType", "")) == HOUNSFIELD
    holder = of_frame(header, "PixelValueTransformationSequence", "RescaleSlope")
    if not is_stated(holder, "RescaleSlope"):
        return False
    if is_stated(holder, "RescaleType"):
        return str(holder.get("RescaleType")).strip("\0 ") == HOUNSFIELD
    return bool(header.get("Modality") == "CT")
