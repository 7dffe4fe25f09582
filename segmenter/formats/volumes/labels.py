"""Labels of frames to a NIfTI file in the grid of their source."""

import gzip
import io
from collections.abc import Iterator
from typing import Any

import nibabel
import numpy as np

from segmenter.formats.frames import (
    Affine,
    FrameGeometry,
    Frames,
    LabelFrames,
    Labels,
    SourceGrid,
    spacings,
)
from segmenter.formats.grid import measure_grid
from segmenter.formats.limits import MEBIBYTE

# Planes are put together so many bytes at once: where frames lie across the file, each such read
# goes through all of them.
PLANES_BYTES = 64 * MEBIBYTE


def write_labels(labels: LabelFrames, frames: Frames) -> bytes:
    """Write object numbers as ``.nii.gz`` in the grid of their source, whatever that is.

    Args:
        labels: uint16, shape (F, H, W) of the shown frames, or such frames one by one; 0 is
            background.
        frames: that they belong to.

    Returns:
        A NIfTI-1 file, gzipped: of a NIfTI volume its own shape, affine and codes; of DICOM slices
        columns, rows, slices in millimetres of the patient; of a video columns, rows, frames, with
        the pixel size alone and codes that say that no orientation is known.
    """
    assert len(labels) == frames.count
    grid = frames.source
    shape = grid.source_shape((frames.count, frames.height, frames.width))
    affine = grid.affine if grid.affine is not None else _plain_affine(frames.geometry)
    # Of no memory: one number stands for all, until the planes are written in its place.
    blank = np.broadcast_to(np.uint16(0), shape)
    image: Any = nibabel.Nifti1Image(blank, affine)  # type: ignore[no-untyped-call]
    known = grid.affine is not None
    qform, sform = grid.codes if any(grid.codes) else ((1, 1) if known else (0, 0))
    if known and grid.pixdim is None and measure_grid(affine).shear_rule is not None:
        # A qform cannot be sheared: readers that prefer it would be told a false place.
        qform = 0
    image.header.set_xyzt_units(grid.unit if known or frames.geometry.spacing else None)
    image.set_sform(affine, code=sform)
    image.set_qform(affine, code=qform)
    image.header.set_zooms(grid.pixdim or spacings(affine))
    stream = io.BytesIO()
    with gzip.GzipFile(fileobj=stream, mode="wb", mtime=0) as zipped:
        image.update_header()
        image.header.set_slope_inter(1.0, 0.0)
        image.header.write_to(zipped)
        for planes in _planes(labels, grid, shape):
            zipped.write(planes.tobytes(order="F"))
    return stream.getvalue()


def _planes(labels: LabelFrames, grid: SourceGrid, shape: tuple[int, int, int]) -> Iterator[Labels]:
    """Put labels together in the source's order, some planes of its last axis at a time."""
    step = max(1, PLANES_BYTES // (2 * shape[0] * shape[1]))
    for first in range(0, shape[2], step):
        yield grid.slab_of(labels, shape, first, min(first + step, shape[2]))


def _plain_affine(geometry: FrameGeometry) -> Affine:
    spacing, slice_mm = geometry.spacing, geometry.slice_mm
    sides = (spacing.column_mm, spacing.row_mm) if spacing else (1.0, 1.0)
    return np.diag([*sides, slice_mm or 1.0, 1.0])
