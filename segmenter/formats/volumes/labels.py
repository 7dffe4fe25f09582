"""Labels of frames to a NIfTI file in the grid of their source."""

import gzip
import io
from collections.abc import Iterator
from typing import Any

import nibabel
import numpy as np

from segmenter.formats.frames import Affine, FrameGeometry, Frames, LabelFrames, Labels, SourceGrid
from segmenter.formats.grid import measure_grid
from segmenter.formats.limits import MEBIBYTE
from segmenter.formats.volumes.nifti_place import placed_as

# Planes are put together so many bytes at once: where frames lie across the file, each such read
# goes through all of them.
PLANES_BYTES = 64 * MEBIBYTE
# Of NIfTI-1; its sizes are int16.
MAX_NIFTI1_SIDE = 32_767
# NIfTI's code of a place in the scanner.
SCANNER = 1


def write_labels(labels: LabelFrames, frames: Frames) -> bytes:
    """Write object numbers as ``.nii.gz`` in the grid of their source, whatever that is.

    Args:
        labels: uint16, shape (F, H, W) of the shown frames, or such frames one by one; 0 is
            background.
        frames: that they belong to.

    Returns:
        A NIfTI file, gzipped. Of a NIfTI volume it has the shape of one volume, and sform, qform,
        codes, pixdim and units bit for bit; of other volumes columns, rows, slices in millimetres
        of the patient. Of a sequence in time it has four axes: columns, rows, 1, frames, with
        seconds between frames. Where no orientation is known both codes are 0.
    """
    assert len(labels) == frames.count
    grid = frames.source
    shape = grid.source_shape((frames.count, frames.height, frames.width))
    header = _header(grid, frames.geometry, shape)
    header.set_data_dtype(np.uint16)
    header.set_slope_inter(1.0, 0.0)
    stream = io.BytesIO()
    with gzip.GzipFile(fileobj=stream, mode="wb", mtime=0) as zipped:
        header.write_to(zipped)
        for planes in _planes(labels, grid, shape):
            zipped.write(planes.tobytes(order="F"))
    return stream.getvalue()


def _header(grid: SourceGrid, geometry: FrameGeometry, shape: tuple[int, int, int]) -> Any:
    """Return a header with shape and place."""
    if grid.nifti_header is not None:
        header = placed_as(grid.nifti_header)
        sizes = header["pixdim"].copy()
        header.set_data_shape(shape)
        header["pixdim"][:4] = sizes[:4]
        return header
    wide = max(shape) > MAX_NIFTI1_SIDE
    kind: Any = nibabel.Nifti2Header if wide else nibabel.Nifti1Header
    header = kind()
    timed = geometry.axis == "time"
    header.set_data_shape((*shape[:2], 1, shape[2]) if timed else shape)
    if grid.affine is not None:
        _place(header, grid.affine)
    else:
        header["pixdim"][1:4] = _sides_mm(grid, geometry)
    if timed and geometry.fps:
        header["pixdim"][4] = 1.0 / geometry.fps
    header.set_xyzt_units(
        "mm" if grid.affine is not None or geometry.spacing else None,
        "sec" if timed and geometry.fps else None,
    )
    return header


def _place(header: Any, affine: Affine) -> None:
    """Write where the grid is, in both forms where both can say it.

    A qform has no shear. Of a sheared grid there is none: a reader that takes the qform first would
    be told a false place without a word, and one that knows no shear (ITK) refuses the sform.
    """
    header.set_sform(affine, code=SCANNER)
    if measure_grid(affine).shear_rule is None:
        header.set_qform(affine, code=SCANNER)
    header["pixdim"][1:4] = np.linalg.norm(affine[:3, :3], axis=0)


def _sides_mm(grid: SourceGrid, geometry: FrameGeometry) -> list[float]:
    """Return sizes along the source's axes, 1 where they are not known."""
    spacing, sides = geometry.spacing, [1.0, 1.0, 1.0]
    columns, rows, through = grid.axes
    if spacing is not None:
        sides[columns], sides[rows] = spacing.column_mm, spacing.row_mm
    sides[through] = geometry.step_mm or geometry.slice_mm or 1.0
    return sides


def _planes(labels: LabelFrames, grid: SourceGrid, shape: tuple[int, int, int]) -> Iterator[Labels]:
    """Put labels together in the source's order, some planes of its last axis at a time."""
    step = max(1, PLANES_BYTES // (2 * shape[0] * shape[1]))
    for first in range(0, shape[2], step):
        yield grid.slab_of(labels, shape, first, min(first + step, shape[2]))
