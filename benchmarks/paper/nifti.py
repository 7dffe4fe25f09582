"""Reads NIfTI volumes: the only module that knows nibabel."""

from pathlib import Path

import nibabel
import numpy as np
from nibabel.filebasedimages import ImageFileError

from benchmarks.paper.errors import ConversionError
from benchmarks.paper.volume import Volume


def read_nifti(path: Path) -> Volume:
    """Read a volume as axial slices from the feet up, the patient's right at the left.

    Axes are turned to the closest of the patient's; nothing is resampled. Stored values are scaled
    by the header's slope and intercept.

    Raises:
        ConversionError: no NIfTI, cut short, or not three-dimensional.
    """
    try:
        image = nibabel.as_closest_canonical(nibabel.load(path))  # type: ignore[no-untyped-call]
        values = np.asanyarray(image.dataobj)
    except (ImageFileError, OSError, EOFError, ValueError) as error:
        raise ConversionError(f"{path} does not read as NIfTI ({error})") from error
    if values.ndim != 3:
        raise ConversionError(f"{path} has {values.ndim} dimensions, 3 are converted")
    # From x to the right, y to the front, z up, to rows from the front, columns from the right.
    slices = values[::-1, ::-1, :].transpose(2, 1, 0)
    column, row, _ = (float(size) for size in image.header.get_zooms())
    return Volume(slices, (row, column))
