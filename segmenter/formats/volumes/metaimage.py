"""Headers of MetaImage, attached (.mha) or detached (.mhd), to stored volumes.

Source: https://itk.org/Wiki/MetaIO/Documentation; what it leaves open is as ITK reads it. A name of
a data file is never looked up: the voxels of a detached header are the other file of the upload.
"""

import re
from collections.abc import Mapping

import numpy as np

from segmenter.errors import BrokenImage, UnsupportedImage
from segmenter.formats.limits import Limits, check_frames
from segmenter.formats.volumes.placement import Placement, is_grid
from segmenter.formats.volumes.stored import StoredVolume
from segmenter.formats.volumes.text_header import (
    TypeName,
    checked_sizes,
    real_numbers,
    text_lines,
    unit_mm,
    whole_numbers,
)
from segmenter.formats.volumes.voxels import COLOURS, VoxelLayout

STARTS = re.compile(
    rb"\s*(ObjectType|NDims|Comment|ObjectSubType|TransformType)\s*=", re.IGNORECASE
)
# The last field, behind which the voxels lie.
HEADER_END = re.compile(rb"^[ \t]*ElementDataFile[ \t]*=[^\n]*\n", re.IGNORECASE | re.MULTILINE)
WHAT = "MetaImage header"
TYPES = {
    "CHAR": TypeName("i", 1),
    "UCHAR": TypeName("u", 1),
    "SHORT": TypeName("i", 2),
    "USHORT": TypeName("u", 2),
    "INT": TypeName("i", 4),
    "UINT": TypeName("u", 4),
    # Four bytes on every machine (metaTypes.h).
    "LONG": TypeName("i", 4),
    "ULONG": TypeName("u", 4),
    "LONG_LONG": TypeName("i", 8),
    "ULONG_LONG": TypeName("u", 8),
    "FLOAT": TypeName("f", 4),
    "DOUBLE": TypeName("f", 8),
}
# Its space is LPS; ours is RAS.
TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
CONVERTED = "places converted to millimetres from DistanceUnits, which ITK does not do"
NO_SIZE = "no voxel size in the header"


def is_metaimage(content: bytes) -> bool:
    """Tell whether a file begins like MetaImage, and names an image's fields."""
    return bool(STARTS.match(content[:256])) and b"DimSize" in content[:4096]


def is_detached(content: bytes) -> bool:
    """Tell whether a MetaImage header has its voxels elsewhere."""
    return _data_file(_fields(content)[0]).upper() != "LOCAL"


def read_metaimage(content: bytes, voxels: bytes | None, limits: Limits) -> StoredVolume:
    """Read a header.

    Args:
        content: of the ``.mha`` or ``.mhd``.
        voxels: of a detached header.
        limits: checked on the header.

    Raises:
        BrokenImage, ImageTooLarge, UnsupportedImage.
    """
    fields, end = _fields(content)
    named = _data_file(fields)
    if named.upper().startswith("LIST") or "%" in named:
        raise UnsupportedImage("MetaImage with a file for each slice is not read; send one .mha")
    if voxels is None and named.upper() != "LOCAL":
        raise UnsupportedImage(
            "this is a MetaImage header without its voxels;"
            " send the .mhd and its data file together"
        )
    axes = whole_numbers(fields.get("ndims", "0"), "NDims")[0]
    sizes = whole_numbers(fields.get("dimsize", ""), "DimSize")
    sizes = checked_sizes(sizes, axes, "MetaImage")
    layout = _layout(fields, sizes)
    check_frames(max(layout.shape), layout.values, limits)
    return StoredVolume(
        format="metaimage",
        content=memoryview(content)[end:] if voxels is None else memoryview(voxels),
        layout=layout,
        place=_place(fields, axes),
        scale=_scale(fields),
    )


def _fields(content: bytes) -> tuple[dict[str, str], int]:
    """Return the fields of a header by their names, and where it ends."""
    lines, end = text_lines(content, HEADER_END, WHAT)
    pairs = [line.partition("=") for line in lines]
    return {name.strip().lower(): said.strip() for name, equals, said in pairs if equals}, end


def _data_file(fields: Mapping[str, str]) -> str:
    name = fields.get("elementdatafile")
    if not name:
        raise BrokenImage("a MetaImage header without the field 'ElementDataFile'")
    return name


def _says(fields: Mapping[str, str], *names: str) -> bool:
    return any(fields.get(name, "").lower() in ("true", "1", "yes") for name in names)


def _layout(fields: Mapping[str, str], sizes: tuple[int, ...]) -> VoxelLayout:
    name = TYPES.get(
        fields.get("elementtype", "").upper().removeprefix("MET_").removesuffix("_ARRAY")
    )
    if name is None:
        raise UnsupportedImage("MetaImage voxels that are no plain numbers are not read")
    beside = whole_numbers(fields.get("elementnumberofchannels", "1"), "ElementNumberOfChannels")[0]
    if beside < 1:
        raise BrokenImage("the field 'ElementNumberOfChannels' is below 1")
    skip = whole_numbers(fields.get("headersize", "0"), "HeaderSize")[0]
    text = fields.get("binarydata", "true").lower() in ("false", "0", "no")
    deflated = _says(fields, "compresseddata")
    columns, rows, planes = sizes[:3]
    return VoxelLayout(
        what=WHAT,
        packing="text" if text else "deflate" if deflated else "raw",
        shape=(columns, rows, planes),
        dtype=name.dtype(big_endian=_says(fields, "binarydatabyteordermsb", "elementbyteordermsb")),
        start=max(0, skip),
        at_end=skip == -1,
        beside=beside,
        behind=int(np.prod(sizes[3:], dtype=object)),
        # Colour has no name of its own.
        colour=name == TypeName("u", 1) and beside in (COLOURS, COLOURS + 1),
    )


def _place(fields: Mapping[str, str], axes: int) -> Placement:
    turned = _numbers(fields, ("transformmatrix", "rotation", "orientation"), axes * axes)
    offset = _numbers(fields, ("offset", "position", "origin"), axes)
    sides = _numbers(fields, ("elementspacing", "elementsize"), axes)
    affine = np.eye(4)
    # Each line of the matrix is the direction of an axis.
    matrix = np.eye(axes) if turned is None else np.reshape(turned, (axes, axes))
    affine[:3, :3] = matrix[:3, :3].T
    if sides is not None:
        affine[:3, :3] *= sides[:3]
    if offset is not None:
        affine[:3, 3] = offset[:3]
    scale = unit_mm(fields.get("distanceunits", ""))
    affine = np.diag([scale, scale, scale, 1.0]) @ TO_RAS @ affine
    if not is_grid(affine):
        raise BrokenImage("a MetaImage grid that cannot be turned back")
    sized = sides is not None
    rules = (*(() if sized else (NO_SIZE,)), *(() if scale == 1.0 else (CONVERTED,)))
    return Placement(affine, sized, sized, None, "ElementSpacing", rules)


def _numbers(
    fields: Mapping[str, str], names: tuple[str, ...], count: int
) -> tuple[float, ...] | None:
    """Return the numbers of the first of some fields that is there."""
    for name in names:
        if name in fields:
            numbers = real_numbers(fields[name], name)
            if len(numbers) != count or not np.isfinite(numbers).all():
                raise BrokenImage(f"the field {name!r} has {len(numbers)} numbers, not {count}")
            return numbers
    return None


def _scale(fields: Mapping[str, str]) -> tuple[float, float]:
    slope = _numbers(fields, ("elementtointensityfunctionslope",), 1)
    offset = _numbers(fields, ("elementtointensityfunctionoffset",), 1)
    return (slope or (1.0,))[0] or 1.0, (offset or (0.0,))[0]
