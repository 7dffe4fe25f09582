"""NIfTI volumes to frames and labels to NIfTI: the only module that knows nibabel.

Frames run along the axis with the widest spacing, the thinner one of two alike. They are shown as
radiology shows them: the patient's head or front up, right side (else front) at the left. Nothing
is resampled.
"""

import gzip
import io
import zlib
from typing import Any

import nibabel
import numpy as np
from nibabel.filebasedimages import ImageFileError
from nibabel.spatialimages import HeaderDataError

from segmenter.contract import Spacing
from segmenter.errors import BrokenImage, UnsupportedImage
from segmenter.formats.decoded import Window, join_rules
from segmenter.formats.frames import (
    Affine,
    FrameGeometry,
    Frames,
    Labels,
    SourceGrid,
    shown_grey,
    spacings,
)
from segmenter.formats.grey_levels import (
    AS_ASKED,
    Ramp,
    Stored,
    exact_window,
    non_zero_ramp,
    ramp,
)
from segmenter.formats.guard import guarded
from segmenter.formats.limits import Limits, check_frames
from segmenter.formats.window_presets import preset_window

GZIP = b"\x1f\x8b"
# The first four bytes are the header's size.
KINDS: dict[bytes, Any] = {
    kind.header_class.sizeof_hdr.to_bytes(4, order): kind
    for kind in (nibabel.Nifti1Image, nibabel.Nifti2Image)
    for order in ("little", "big")
}
# Of the longer kind of header.
HEAD_BYTES = 540
# Extensions and padding between header and voxels.
SLACK_BYTES = 2**20
# A file that names no unit means millimetres.
MM_OF_UNIT = {"meter": 1000.0, "mm": 1.0, "micron": 0.001}


def is_nifti(content: bytes) -> bool:
    """Tell whether bytes begin like NIfTI, gzipped or not."""
    head = content[:4]
    if head.startswith(GZIP):
        head = _inflate(content, 4)
    return head in KINDS


def open_nifti(
    content: bytes, limits: Limits, *, window: Window | None = None, preset: str | None = None
) -> Frames:
    """Open a volume, of several the first.

    Args:
        content: ``.nii`` or ``.nii.gz``.
        limits: checked on the header, before the voxels are inflated or read.
        window: in the volume's values; else a preset, else percentiles of the whole volume.
        preset: of `windows.PRESETS`; the volume is then taken for CT.

    Raises:
        BrokenImage, ImageTooLarge, UnsupportedImage.
        InvalidPrompt: no such preset.
    """
    if window is None and preset is not None:
        window = preset_window(preset, None)
    with guarded("NIfTI volume"):
        try:
            return _open(content, limits, window)
        except (ImageFileError, HeaderDataError):
            raise BrokenImage("this NIfTI header contradicts itself") from None


def _open(content: bytes, limits: Limits, window: Window | None) -> Frames:
    image = _image(content, limits)
    header: Any = image.header
    volumes = int(np.prod(image.shape[3:], dtype=np.int64))
    raw = np.asanyarray(image.dataobj.get_unscaled())
    first: Stored = raw.reshape(*image.shape[:3], -1, order="F")[..., 0]
    grid = _grid(image.shape[:3], np.asarray(image.affine, np.float64), header)
    slope, intercept = _scaling(image)
    values: Stored = grid.shown(first)  # type: ignore[assignment]
    low_high, rule = _window(values, slope, intercept, window)
    column_mm, row_mm, slice_mm = _sides_mm(grid)
    count, height, width = values.shape
    return Frames(
        count=count,
        height=height,
        width=width,
        format="nifti",
        modality=None,
        rendering=join_rules(rule, f"volume 1 of {volumes}" if volumes > 1 else None),
        geometry=FrameGeometry(
            axis="depth",
            affine=_shown_affine(grid, image.shape[:3]),
            spacing=Spacing(row_mm=row_mm, column_mm=column_mm, source="pixdim"),
            slice_mm=slice_mm,
        ),
        source=grid,
        frame=shown_grey(values, lambda stored: ramp(stored * slope + intercept, *low_high)),
    )


def _image(content: bytes, limits: Limits) -> Any:
    """Check the header, inflate no more than it declares, and let nibabel read."""
    zipped = content.startswith(GZIP)
    head = _inflate(content, HEAD_BYTES) if zipped else content[:HEAD_BYTES]
    kind = KINDS.get(head[:4])
    if kind is None:
        raise UnsupportedImage("this is no NIfTI volume")
    size = kind.header_class.sizeof_hdr
    if len(head) < size:
        raise BrokenImage(f"{len(head)} bytes where a NIfTI header has {size}")
    header = kind.header_class(binaryblock=head[:size], check=True)
    if bytes(header["magic"])[:2] != b"n+":
        raise UnsupportedImage(
            "a NIfTI header without its voxels (a .hdr and .img pair) is not read"
        )
    shape = header.get_data_shape()
    if not 3 <= len(shape) <= 5 or min(shape) < 1:
        raise UnsupportedImage(f"a NIfTI file of {len(shape)} dimensions is not read, 3 are")
    dtype = header.get_data_dtype()
    if dtype.kind not in "iuf" or dtype.itemsize > 8:
        raise UnsupportedImage("NIfTI voxels that are no plain numbers are not read")
    check_frames(max(shape[:3]), int(np.prod(shape, dtype=object)), limits)
    needed = int(header["vox_offset"]) + int(np.prod(shape, dtype=object)) * dtype.itemsize
    raw = _inflate(content, needed + SLACK_BYTES) if zipped else content
    if len(raw) < needed:
        raise BrokenImage(f"{len(raw)} bytes where the NIfTI header declares {needed}")
    return kind.from_bytes(raw)


def _inflate(content: bytes, limit: int) -> bytes:
    """Return the first bytes of gzipped content, at most `limit`; shorter if it ends."""
    stream = zlib.decompressobj(wbits=31)
    try:
        return stream.decompress(content, limit)
    except zlib.error:
        raise BrokenImage("this gzip file does not inflate: damaged") from None


def _scaling(image: Any) -> tuple[float, float]:
    slope, intercept = float(image.dataobj.slope), float(image.dataobj.inter)
    if not np.isfinite([slope, intercept]).all() or slope == 0.0:
        raise BrokenImage("a NIfTI scale that is 0 or no number")
    return slope, intercept


def _window(
    values: Stored, slope: float, intercept: float, window: Window | None
) -> tuple[Ramp, str]:
    if window is not None:
        return exact_window(*window), AS_ASKED
    finite = values[np.isfinite(values)]
    if finite.size == 0:
        raise BrokenImage("no voxel has a finite value")
    stored, rule = non_zero_ramp(finite)
    return Ramp(*sorted(end * slope + intercept for end in stored)), rule


def _grid(shape: tuple[int, ...], affine: Affine, header: Any) -> SourceGrid:
    if not np.isfinite(affine).all() or abs(np.linalg.det(affine[:3, :3])) < 1e-12:
        raise BrokenImage("a NIfTI affine that cannot be turned back")
    unit: str = header.get_xyzt_units()[0]
    sizes = _pixdim(header) or tuple(np.linalg.norm(affine[:3, :3], axis=0))
    through = max(range(3), key=lambda axis: (round(float(sizes[axis]), 3), -shape[axis], axis))
    # Of each source axis: the patient's axis it is nearest to, and its sign.
    nearest = nibabel.io_orientation(affine)  # type: ignore[no-untyped-call]
    plane = [axis for axis in range(3) if axis != through]
    rows = max(plane, key=lambda axis: float(nearest[axis, 0]))
    (columns,) = (axis for axis in plane if axis != rows)
    # Up is head (z+) or front (y+), so rows run down against them. At the left is the right side
    # (x+) or, from the side, the front (y+): columns run against them too.
    flipped = (bool(nearest[columns, 1] > 0), bool(nearest[rows, 1] > 0), False)
    return SourceGrid(
        axes=(columns, rows, through),
        flipped=flipped,
        affine=affine,
        codes=(int(header["qform_code"]), int(header["sform_code"])),
        pixdim=_pixdim(header),
        unit=unit if unit in MM_OF_UNIT else "mm",
    )


def _pixdim(header: Any) -> tuple[float, float, float] | None:
    """Return the voxel size as stated; None if it is no size.

    NIfTI-1.1 makes pixdim the size of a voxel also where an sform places it; files exist whose
    sform is a mere sketch of 1 mm.
    """
    first, second, third = (float(side) for side in header.get_zooms()[:3])
    known = np.isfinite([first, second, third]).all() and min(first, second, third) > 0
    return (first, second, third) if known else None


def _shown_affine(grid: SourceGrid, shape: tuple[int, ...]) -> Affine:
    """Return the affine of shown indices; `shape` is the source's."""
    assert grid.affine is not None
    turned = np.zeros((3, 2))
    for shown, (axis, flip) in enumerate(zip(grid.axes, grid.flipped, strict=True)):
        turned[axis] = shown, -1 if flip else 1
    back: Affine = nibabel.orientations.inv_ornt_aff(turned, shape)  # type: ignore[no-untyped-call]
    return grid.affine @ back


def _sides_mm(grid: SourceGrid) -> tuple[float, float, float]:
    """Return millimetres between neighbouring columns, rows and frames."""
    assert grid.affine is not None
    sides = grid.pixdim or spacings(grid.affine)
    unit_mm = MM_OF_UNIT[grid.unit]
    columns, rows, frames = (sides[axis] * unit_mm for axis in grid.axes)
    return columns, rows, frames


def write_labels(labels: Labels, frames: Frames) -> bytes:
    """Write object numbers as ``.nii.gz`` in the grid of their source, whatever that is.

    Args:
        labels: uint16, shape (F, H, W) of the shown frames; 0 is background.
        frames: that they belong to.

    Returns:
        A NIfTI-1 file, gzipped: of a NIfTI volume its own shape, affine and codes; of DICOM slices
        columns, rows, slices in millimetres of the patient; of a video columns, rows, frames, with
        the pixel size alone and codes that say that no orientation is known.
    """
    assert labels.shape == (frames.count, frames.height, frames.width)
    grid = frames.source
    affine = grid.affine if grid.affine is not None else _plain_affine(frames.geometry)
    image: Any = nibabel.Nifti1Image(grid.to_source(labels), affine)  # type: ignore[no-untyped-call]
    known = grid.affine is not None
    qform, sform = grid.codes if any(grid.codes) else ((1, 1) if known else (0, 0))
    image.header.set_xyzt_units(grid.unit if known or frames.geometry.spacing else None)
    image.set_sform(affine, code=sform)
    image.set_qform(affine, code=qform)
    image.header.set_zooms(grid.pixdim or spacings(affine))
    stream = io.BytesIO()
    with gzip.GzipFile(fileobj=stream, mode="wb", mtime=0) as zipped:
        zipped.write(image.to_bytes())
    return stream.getvalue()


def _plain_affine(geometry: FrameGeometry) -> Affine:
    spacing, slice_mm = geometry.spacing, geometry.slice_mm
    sides = (spacing.column_mm, spacing.row_mm) if spacing else (1.0, 1.0)
    return np.diag([*sides, slice_mm or 1.0, 1.0])
