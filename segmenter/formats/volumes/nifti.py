"""NIfTI volumes to frames.

Frames run along the axis with the widest spacing, the thinner one of two alike. They are shown as
radiology shows them: the patient's head or front up, right side (else front) at the left. Nothing
is resampled. Voxels stay in the file, as it came, and are read in their stored type when a frame is
asked for.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import nibabel
import numpy as np
from nibabel.filebasedimages import ImageFileError
from nibabel.spatialimages import HeaderDataError

from segmenter.contract import Spacing
from segmenter.errors import BrokenImage, UnsupportedImage
from segmenter.formats.decoded import Window, join_rules
from segmenter.formats.frames import (
    AS_THEY_ARE,
    Affine,
    FrameGeometry,
    Frames,
    ReadOptions,
    SourceGrid,
    shown_grey,
)
from segmenter.formats.grey_levels import (
    AS_ASKED,
    SHOWN_BYTES,
    STRIPS_BYTES,
    Ramp,
    Stored,
    exact_window,
    ramp,
)
from segmenter.formats.grid import GridMeasures, measure_grid
from segmenter.formats.guard import guarded
from segmenter.formats.inflate import GZIP, SPAN_BYTES, GzipReader
from segmenter.formats.limits import MEBIBYTE, Limits, check_frames
from segmenter.formats.percentiles import PIECE_VALUES, non_zero_ramp
from segmenter.formats.window_presets import preset_window

# Copies of the decompressor, and what it gives at once.
READER_BYTES = 16 * MEBIBYTE
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
# Frames that lie across the file are read so many bytes of them at once: each such read goes
# through the whole file.
GROUP_BYTES = 64 * MEBIBYTE
# Of one size that a header states in two places; sforms of float32 agree far better.
SAME_SIZE = 0.01
SIZES_OF_PIXDIM = "voxel size of pixdim, the sform has another"
# A file that names no unit means millimetres.
MM_OF_UNIT = {"meter": 1000.0, "mm": 1.0, "micron": 0.001}


def is_nifti(content: bytes) -> bool:
    """Tell whether bytes begin like NIfTI, gzipped or not."""
    head = content[:4]
    if head.startswith(GZIP):
        head = bytes(GzipReader(content).read(0, 4))
    return head in KINDS


def open_nifti(content: bytes, limits: Limits, options: ReadOptions = AS_THEY_ARE) -> Frames:
    """Open a volume, of several the first.

    Args:
        content: ``.nii`` or ``.nii.gz``.
        limits: checked on the header, before the voxels are inflated or read.
        options: of the caller; without window and preset the grey levels are between percentiles of
            the whole volume, with a preset it is taken for CT.

    Raises:
        BrokenImage, ImageTooLarge, UnsupportedImage.
        InvalidPrompt: no such preset.
    """
    window = options.window
    if window is None and options.preset is not None:
        window = preset_window(options.preset, None)
    with guarded("NIfTI volume"):
        try:
            return _open(content, limits, window)
        except (ImageFileError, HeaderDataError):
            raise BrokenImage("this NIfTI header contradicts itself") from None


def working_bytes(content: bytes, limits: Limits) -> int:
    """Return the memory that reading frames of a volume takes, beside the file.

    Raises:
        BrokenImage, ImageTooLarge, UnsupportedImage.
    """
    with guarded("NIfTI volume", ImageFileError, HeaderDataError):
        header, dtype = _read_header(content, limits)
    shape = header.get_data_shape()[:3]
    # The largest frame, whatever the volume is cut along.
    pixels = int(np.prod(shape, dtype=np.int64)) // int(min(shape))
    frame = pixels * dtype.itemsize
    shown = pixels * SHOWN_BYTES + STRIPS_BYTES
    if not content.startswith(GZIP):
        return shown
    # A group of frames, and what it is read from.
    return shown + min(GROUP_BYTES + frame, frame * int(max(shape))) + frame + READER_BYTES


class _Volume(NamedTuple):
    """The first volume of a file, where its voxels are read from.

    Attributes:
        shape: of the source's axes; the first varies fastest in the file.
        start: of the voxels in the inflated file.
        end: of the voxels that the header declares, those of further volumes too.
    """

    source: bytes | GzipReader
    shape: tuple[int, ...]
    dtype: np.dtype[np.number]
    start: int
    end: int

    def pieces(self) -> Iterator[Stored]:
        """Go through all voxels in their order in the file, each piece shape (N,)."""
        total = int(np.prod(self.shape, dtype=np.int64))
        for first in range(0, total, PIECE_VALUES):
            yield self._run(first, min(PIECE_VALUES, total - first))

    def slab(self, axis: int, first: int, last: int) -> Stored:
        """Return the voxels from `first` up to `last` along an axis, in the source's order."""
        cut = tuple(slice(first, last) if each == axis else slice(None) for each in range(3))
        if not isinstance(self.source, GzipReader):
            every = self._run(0, int(np.prod(self.shape, dtype=np.int64)))
            return every.reshape(self.shape, order="F")[cut]
        columns, rows, planes = self.shape
        if axis == 2:
            run = self._run(first * columns * rows, (last - first) * columns * rows)
            return run.reshape((columns, rows, last - first), order="F")
        found = np.empty(
            [last - first if each == axis else self.shape[each] for each in range(3)],
            self.dtype,
            order="F",
        )
        step = max(1, PIECE_VALUES // (columns * rows))
        for plane in range(0, planes, step):
            end = min(plane + step, planes)
            found[..., plane:end] = self.slab(2, plane, end)[cut[:2]]
        return found

    def _run(self, first: int, count: int) -> Stored:
        """Return `count` voxels from the `first` of the file on, shape (N,)."""
        start, size = self.start + first * self.dtype.itemsize, count * self.dtype.itemsize
        if not isinstance(self.source, GzipReader):
            return np.frombuffer(self.source, self.dtype, count, start)
        raw = self.source.read(start, size)
        if len(raw) < size:
            raise _cut_short(start + len(raw), self.end)
        return np.frombuffer(raw, self.dtype)


class _GroupedFrames:
    """Shown frames of a volume; what is read beside a frame is kept until another group is."""

    def __init__(self, volume: _Volume, grid: SourceGrid) -> None:
        self._volume, self._grid = volume, grid
        self._through = grid.axes[2]
        frame = int(np.prod(volume.shape, dtype=np.int64)) // volume.shape[self._through]
        self._size = 1
        if isinstance(volume.source, GzipReader):
            # Where frames follow each other in the file, a group saves inflating them anew for
            # each when they are wanted backwards.
            group_bytes = SPAN_BYTES if self._through == 2 else GROUP_BYTES
            self._size = max(1, group_bytes // (frame * volume.dtype.itemsize))
        self._number, self._group = -1, np.empty(0, volume.dtype)

    def __getitem__(self, index: int) -> Stored:
        """Return a frame's stored values, shape (H, W)."""
        number, within = divmod(index, self._size)
        if number != self._number:
            first = number * self._size
            last = min(first + self._size, self._volume.shape[self._through])
            # Let go of the one before, so that there are never two.
            self._number, self._group = -1, np.empty(0, self._volume.dtype)
            self._group = self._grid.shown(self._volume.slab(self._through, first, last))
            self._number = number
        frame: Stored = self._group[within]
        return frame


def _open(content: bytes, limits: Limits, window: Window | None) -> Frames:
    header, dtype = _read_header(content, limits)
    shape = header.get_data_shape()
    volumes = int(np.prod(shape[3:], dtype=np.int64))
    start = int(header["vox_offset"])
    needed = start + int(np.prod(shape, dtype=object)) * dtype.itemsize
    zipped = content.startswith(GZIP)
    if not zipped and len(content) < needed:
        raise _cut_short(len(content), needed)
    source = GzipReader(content) if zipped else content
    volume = _Volume(source, shape[:3], dtype, start, needed)
    grid = _grid(shape[:3], np.asarray(header.get_best_affine(), np.float64), header)
    slope, intercept = _scaling(header)
    low_high, rule = _window(volume, slope, intercept, window)
    if isinstance(volume.source, GzipReader):
        there = volume.source.reach(needed + SLACK_BYTES)
        if there < needed:
            raise _cut_short(there, needed)
    sizes, sizes_rule = _measures(grid)
    columns, rows, through = grid.axes
    return Frames(
        count=shape[through],
        height=shape[rows],
        width=shape[columns],
        format="nifti",
        modality=None,
        rendering=join_rules(
            rule,
            f"volume 1 of {volumes}" if volumes > 1 else None,
            sizes_rule,
            sizes.shear_rule,
        ),
        geometry=FrameGeometry(
            axis="depth",
            affine=_shown_affine(grid, shape[:3]),
            spacing=Spacing(row_mm=sizes.row_mm, column_mm=sizes.column_mm, source="pixdim"),
            slice_mm=sizes.slice_mm,
            step_mm=sizes.step_mm,
            voxel_ml=sizes.voxel_ml,
        ),
        source=grid,
        frame=shown_grey(
            _GroupedFrames(volume, grid), lambda stored: ramp(stored * slope + intercept, *low_high)
        ),
    )


def _read_header(content: bytes, limits: Limits) -> tuple[Any, np.dtype[np.number]]:
    """Return the checked header, and the type of the voxels."""
    zipped = content.startswith(GZIP)
    head = bytes(GzipReader(content).read(0, HEAD_BYTES)) if zipped else content[:HEAD_BYTES]
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
    return header, dtype


def _cut_short(there: int, needed: int) -> BrokenImage:
    return BrokenImage(f"{there} bytes where the NIfTI header declares {needed}")


def _scaling(header: Any) -> tuple[float, float]:
    slope, intercept = header.get_slope_inter()
    slope = 1.0 if slope is None else float(slope)
    intercept = 0.0 if intercept is None else float(intercept)
    if not np.isfinite([slope, intercept]).all() or slope == 0.0:
        raise BrokenImage("a NIfTI scale that is 0 or no number")
    return slope, intercept


def _window(
    volume: _Volume, slope: float, intercept: float, window: Window | None
) -> tuple[Ramp, str]:
    if window is not None:
        return exact_window(*window), AS_ASKED
    stored, rule = non_zero_ramp(volume.pieces, "voxel")
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


def _measures(grid: SourceGrid) -> tuple[GridMeasures, str | None]:
    """Return sizes of the shown grid, and a word where the header contradicts itself.

    The sizes are those of pixdim along the axes of the affine, as ITK takes them too. Where both
    make the same volume the affine's are taken: pixdim may mean the way along a sheared axis or
    the distance along its normal.
    """
    assert grid.affine is not None
    placed = grid.affine.copy()
    norms = np.linalg.norm(placed[:3, :3], axis=0)
    rule = None
    if grid.pixdim is not None:
        stated, volume = np.array(grid.pixdim), abs(float(np.linalg.det(placed[:3, :3])))
        as_norms = np.abs(stated / norms - 1.0).max() <= SAME_SIZE
        if as_norms or abs(np.prod(stated) / volume - 1.0) > SAME_SIZE:
            placed[:3, :3] *= stated / norms
            rule = None if as_norms else SIZES_OF_PIXDIM
    placed[:3, :3] *= MM_OF_UNIT[grid.unit]
    return measure_grid(placed[:, [*grid.axes, 3]]), rule
