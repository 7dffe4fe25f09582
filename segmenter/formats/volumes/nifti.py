"""Headers of NIfTI-1, NIfTI-2 and Analyze 7.5, of one file or of a pair, to stored volumes."""

from typing import Any, NamedTuple

import nibabel
import numpy as np
from nibabel import nifti1, nifti2
from nibabel.filebasedimages import ImageFileError
from nibabel.spatialimages import HeaderDataError

from segmenter.errors import BrokenImage, UnsupportedImage
from segmenter.formats.guard import guarded
from segmenter.formats.inflate import GZIP, GzipReader
from segmenter.formats.limits import Limits, check_frames
from segmenter.formats.volumes.nifti_place import analyze_place, nifti_place
from segmenter.formats.volumes.stored import StoredVolume
from segmenter.formats.volumes.voxels import VoxelLayout

# The first four bytes are the header's size.
SIZES = {
    kind.sizeof_hdr.to_bytes(4, order): kind.sizeof_hdr
    for kind in (nibabel.Nifti1Header, nibabel.Nifti2Header)
    for order in ("little", "big")
}
# Of the longer kind of header.
HEAD_BYTES = 540
# Of two bytes of magic: whether the voxels are in the same file.
IN_ONE, IN_TWO = b"n+", b"ni"
_MAGIC_AT = {348: 344, 540: 4}
MAX_AXES = 7
# RGB24 and RGBA32 of the standard, numbers of a voxel.
COLOUR_CODES = {128: 3, 2304: 4}
NO_NUMBERS = "NIfTI voxels that are no plain numbers are not read"


class HeaderStart(NamedTuple):
    """The first bytes of a file that begins like a header.

    Attributes:
        head: the header, unpacked, as it came.
        kind: of nibabel's headers.
        alone: whether the voxels are in a file of their own.
        analyze: whether it is one of Analyze 7.5, which has no magic.
    """

    head: bytes
    kind: Any
    alone: bool
    analyze: bool


def nifti_start(content: bytes) -> HeaderStart | None:
    """Return the header that a file begins with, gzipped or not; None if it is no such file."""
    zipped = content.startswith(GZIP)
    head = bytes(GzipReader(content).read(0, HEAD_BYTES)) if zipped else content[:HEAD_BYTES]
    size = SIZES.get(head[:4])
    if size is None:
        return None
    magic = head[_MAGIC_AT[size] : _MAGIC_AT[size] + 2]
    if size == HEAD_BYTES:
        kind: Any = nifti2.Nifti2Header if magic == IN_ONE else nifti2.Nifti2PairHeader
        return HeaderStart(head[:size], kind, magic != IN_ONE, analyze=False)
    if magic in (IN_ONE, IN_TWO):
        kind = nifti1.Nifti1Header if magic == IN_ONE else nifti1.Nifti1PairHeader
        return HeaderStart(head[:size], kind, magic == IN_TWO, analyze=False)
    return HeaderStart(head[:size], nibabel.Spm99AnalyzeHeader, alone=True, analyze=True)


def read_nifti(
    start: HeaderStart, content: bytes, voxels: bytes | None, limits: Limits
) -> StoredVolume:
    """Read a header.

    Args:
        start: of `content`.
        content: ``.nii``, ``.hdr``, gzipped or not.
        voxels: of a header that stands alone: ``.img``, gzipped or not.
        limits: checked on the header, before the voxels are inflated or read.

    Raises:
        BrokenImage, ImageTooLarge, UnsupportedImage.
    """
    with guarded("NIfTI volume"):
        try:
            return _read(start, content, voxels, limits)
        except (ImageFileError, HeaderDataError):
            raise BrokenImage(f"this {_what(start)} contradicts itself") from None


def _what(start: HeaderStart) -> str:
    return "Analyze header" if start.analyze else "NIfTI header"


def _read(start: HeaderStart, content: bytes, voxels: bytes | None, limits: Limits) -> StoredVolume:
    size = start.kind.sizeof_hdr
    if len(start.head) < size:
        raise BrokenImage(f"{len(start.head)} bytes where the {_what(start)} has {size}")
    stored = content
    if start.alone:
        if voxels is None:
            raise UnsupportedImage(
                f"this is {'an' if start.analyze else 'a'} {_what(start)} without its voxels;"
                " send the .hdr and the .img together"
            )
        stored = voxels
    stated = start.kind(start.head, check=False)
    code = int(stated["datatype"])
    dtype, beside = _dtype(stated, code)
    header = start.kind(start.head, check=True)
    # What is no number says no size, as 0 does.
    sides = header["pixdim"][1:4]
    header["pixdim"][1:4] = np.where(np.isfinite(sides), sides, 1.0)
    shape, behind = _shape(header)
    layout = VoxelLayout(
        what=_what(start),
        packing="deflate" if stored.startswith(GZIP) else "raw",
        shape=shape,
        dtype=dtype,
        start=_offset(start, int(header["vox_offset"])),
        beside=beside,
        behind=behind,
        colour=code in COLOUR_CODES,
    )
    check_frames(max(shape), layout.voxels * behind, limits)
    return StoredVolume(
        format="analyze" if start.analyze else "nifti",
        content=memoryview(stored),
        layout=layout,
        place=analyze_place(stated, header) if start.analyze else nifti_place(stated, header),
        scale=(1.0, 0.0) if layout.colour else _scaling(header),
        nifti_header=start.head,
    )


def _offset(start: HeaderStart, stated: int) -> int:
    """Return where the voxels begin, which readers guess differently where it cannot be."""
    size = 0 if start.alone else start.kind.sizeof_hdr
    if stated < size:
        raise BrokenImage(f"a NIfTI header of {size} bytes says that voxels begin at {stated}")
    return max(0, stated)


def _shape(header: Any) -> tuple[tuple[int, int, int], int]:
    """Return the shape of a volume, and how many there are."""
    sides = tuple(int(side) for side in header.get_data_shape())
    if min(sides, default=0) < 1:
        raise BrokenImage("a NIfTI header with a side of no voxels, or fewer")
    if not 2 <= len(sides) <= MAX_AXES:
        raise UnsupportedImage(f"a NIfTI file of {len(sides)} dimensions is not read, 3 are")
    columns, rows, planes = (*sides, 1)[:3]
    return (columns, rows, planes), int(np.prod(sides[3:], dtype=object))


def _dtype(header: Any, code: int) -> tuple[np.dtype[np.number], int]:
    """Return the type of a number, and how many a voxel has."""
    if code in COLOUR_CODES:
        return np.dtype(np.uint8), COLOUR_CODES[code]
    try:
        dtype = header.get_data_dtype()
    except HeaderDataError:
        raise UnsupportedImage(NO_NUMBERS) from None
    if dtype.kind == "c":
        raise UnsupportedImage("complex NIfTI voxels are not read; send their magnitude")
    if dtype.kind not in "iuf" or dtype.itemsize > 8:
        raise UnsupportedImage(NO_NUMBERS)
    return dtype, 1


def _scaling(header: Any) -> tuple[float, float]:
    slope, intercept = header.get_slope_inter()
    slope = 1.0 if slope is None else float(slope)
    intercept = 0.0 if intercept is None else float(intercept)
    if not np.isfinite([slope, intercept]).all() or slope == 0.0:
        raise BrokenImage("a NIfTI scale that is 0 or no number")
    return slope, intercept
