"""Headers of NRRD, attached (.nrrd) or detached (.nhdr), to stored volumes.

Source: https://teem.sourceforge.net/nrrd/format.html, versions 1 to 5. A name of a data file is
never looked up: the voxels of a detached header are the other file of the upload.
"""

import math
import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from segmenter.errors import BrokenImage, UnsupportedImage
from segmenter.formats.frames import Affine
from segmenter.formats.limits import Limits, check_frames
from segmenter.formats.volumes.placement import Placement, is_grid
from segmenter.formats.volumes.stored import StoredVolume
from segmenter.formats.volumes.text_header import (
    TypeName,
    checked_sizes,
    real_numbers,
    text_lines,
    unit_mm,
    vectors,
    whole_numbers,
)
from segmenter.formats.volumes.voxels import COLOURS, Packing, VoxelLayout

MAGIC = b"NRRD000"
HEADER_END = re.compile(rb"\r?\n\r?\n")
WHAT = "NRRD header"
_WORDS = {
    TypeName("i", 1): "signed char, int8, int8_t",
    TypeName("u", 1): "uchar, unsigned char, uint8, uint8_t",
    TypeName("i", 2): "short, short int, signed short, signed short int, int16, int16_t",
    TypeName("u", 2): "ushort, unsigned short, unsigned short int, uint16, uint16_t",
    TypeName("i", 4): "int, signed int, int32, int32_t",
    TypeName("u", 4): "uint, unsigned int, uint32, uint32_t",
    TypeName("i", 8): "longlong, long long, long long int, signed long long,"
    " signed long long int, int64, int64_t",
    TypeName("u", 8): "ulonglong, unsigned long long, unsigned long long int, uint64, uint64_t",
    TypeName("f", 4): "float",
    TypeName("f", 8): "double",
}
TYPES = {word: name for name, words in _WORDS.items() for word in words.split(", ")}
PACKINGS: Mapping[str, Packing] = {
    "raw": "raw",
    "txt": "text",
    "text": "text",
    "ascii": "text",
    "gz": "deflate",
    "gzip": "deflate",
    "bz2": "bzip2",
    "bzip2": "bzip2",
}
# Signs that turn a named space to RAS.
SPACES = {
    "right-anterior-superior": (1, 1, 1),
    "ras": (1, 1, 1),
    "left-anterior-superior": (-1, 1, 1),
    "las": (-1, 1, 1),
    "left-posterior-superior": (-1, -1, 1),
    "lps": (-1, -1, 1),
}
ASSUMED_SPACE = (-1, -1, 1)
ASSUMED = "no patient space in the header: taken as left-posterior-superior, as ITK does"
NO_SIZE = "no voxel size in the header"
COLOUR_KINDS = ("rgb-color", "3-color", "rgba-color", "4-color", "vector", "3-vector")
SPATIAL_KINDS = ("domain", "space")


class Axes(NamedTuple):
    """The axes of the file.

    Attributes:
        sizes: of all, the fastest first.
        first: of the three in space; those before are numbers of a voxel, those behind volumes.
    """

    sizes: tuple[int, ...]
    first: int

    @property
    def shape(self) -> tuple[int, int, int]:
        """Sizes of the three in space."""
        columns, rows, planes = self.sizes[self.first : self.first + 3]
        return columns, rows, planes


def is_nrrd(content: bytes) -> bool:
    """Tell whether a file begins like NRRD."""
    return content.startswith(MAGIC)


def is_detached(content: bytes) -> bool:
    """Tell whether an NRRD header has its voxels elsewhere."""
    fields = _fields(content)[0]
    return "data file" in fields or "datafile" in fields


def read_nrrd(content: bytes, voxels: bytes | None, limits: Limits) -> StoredVolume:
    """Read a header.

    Args:
        content: of the ``.nrrd`` or ``.nhdr``.
        voxels: of a detached header.
        limits: checked on the header.

    Raises:
        BrokenImage, ImageTooLarge, UnsupportedImage.
    """
    fields, end = _fields(content)
    stored = memoryview(content)[end:] if voxels is None else memoryview(voxels)
    if voxels is None and ("data file" in fields or "datafile" in fields):
        raise UnsupportedImage(
            "this is an NRRD header without its voxels; send the .nhdr and its data file together"
        )
    named = fields.get("data file", fields.get("datafile", ""))
    if named.upper().startswith("LIST") or "%" in named:
        raise UnsupportedImage("NRRD with a file for each slice is not read; send one .nrrd")
    directions = vectors(fields.get("space directions", ""), "space directions")
    axes = _axes(fields, directions)
    layout, stored = _layout(fields, axes, stored)
    check_frames(max(layout.shape), layout.values, limits)
    return StoredVolume(
        format="nrrd",
        content=stored,
        layout=layout,
        place=_place(fields, axes, directions),
    )


def _fields(content: bytes) -> tuple[dict[str, str], int]:
    """Return the fields of a header by their names, and where it ends."""
    lines, end = text_lines(content, HEADER_END, WHAT)
    fields = {}
    for line in lines[1:]:
        name, colon, said = line.partition(":")
        # Behind ":=" are words of whoever wrote the file.
        if colon and not line.startswith("#") and not said.startswith("="):
            fields[name.strip().lower()] = said.strip()
    return fields, end


def _needed(fields: Mapping[str, str], name: str) -> str:
    if not fields.get(name):
        raise BrokenImage(f"an NRRD header without the field {name!r}")
    return fields[name]


def _axes(fields: Mapping[str, str], directions: Sequence[tuple[float, ...] | None]) -> Axes:
    """Find the three axes in space: by their directions, else their kinds, else the first."""
    dimension = whole_numbers(_needed(fields, "dimension"), "dimension")[0]
    sizes = checked_sizes(whole_numbers(_needed(fields, "sizes"), "sizes"), dimension, "NRRD")
    kinds = fields.get("kinds", "").lower().split()
    if directions:
        if len(directions) != dimension:
            raise BrokenImage("the field 'space directions' has not a vector for each axis")
        # Of four numbers the last is time.
        spatial = [i for i, each in enumerate(directions) if each is not None and any(each[:3])]
    elif len(kinds) == dimension:
        spatial = [i for i, kind in enumerate(kinds) if kind in SPATIAL_KINDS][:3]
        # Kinds need not be known.
        spatial = spatial or list(range(3))
    else:
        spatial = list(range(3))
    if len(spatial) != 3 or spatial[2] - spatial[0] != 2:
        raise UnsupportedImage("NRRD is read where three axes, one behind the other, are in space")
    return Axes(sizes, spatial[0])


def _layout(
    fields: Mapping[str, str], axes: Axes, stored: memoryview
) -> tuple[VoxelLayout, memoryview]:
    encoding = _needed(fields, "encoding").lower()
    if encoding not in PACKINGS:
        raise UnsupportedImage("NRRD is read in the encodings raw, gzip, bzip2 and ascii")
    packing = PACKINGS[encoding]
    name = TYPES.get(_needed(fields, "type").lower())
    if name is None:
        raise UnsupportedImage("NRRD voxels that are no plain numbers are not read")
    kinds = fields.get("kinds", "").lower().split()
    if any("complex" in kind for kind in kinds):
        raise UnsupportedImage("complex NRRD voxels are not read; send their magnitude")
    big = fields.get("endian", "").lower() == "big"
    if name.bytes > 1 and packing != "text" and "endian" not in fields:
        raise BrokenImage("an NRRD header without the field 'endian'")
    skip = whole_numbers(fields.get("byte skip", fields.get("byteskip", "0")), "byte skip")[0]
    beside = int(np.prod(axes.sizes[: axes.first], dtype=object))
    layout = VoxelLayout(
        what=WHAT,
        packing=packing,
        shape=axes.shape,
        dtype=name.dtype(big_endian=big),
        start=max(0, skip),
        at_end=skip == -1,
        beside=beside,
        behind=int(np.prod(axes.sizes[axes.first + 3 :], dtype=object)),
        colour=name == TypeName("u", 1)
        and beside in (COLOURS, COLOURS + 1)
        and axes.first == 1
        and len(kinds) == len(axes.sizes)
        and kinds[0] in COLOUR_KINDS,
    )
    return layout, _behind_lines(fields, stored)


def _behind_lines(fields: Mapping[str, str], stored: memoryview) -> memoryview:
    """Leave out lines before the voxels, as asked by the header."""
    lines = whole_numbers(fields.get("line skip", fields.get("lineskip", "0")), "line skip")[0]
    if not lines:
        return stored
    parts = bytes(stored[:MAX_SKIPPED_BYTES]).split(b"\n", lines)
    if len(parts) <= lines:
        raise BrokenImage(f"fewer lines before the voxels than the {WHAT} declares")
    return stored[sum(len(part) + 1 for part in parts[:lines]) :]


# Headers of other formats before the voxels.
MAX_SKIPPED_BYTES = 1024 * 1024


def _place(
    fields: Mapping[str, str], axes: Axes, directions: Sequence[tuple[float, ...] | None]
) -> Placement:
    space = fields.get("space", "").lower().removesuffix("-time")
    space = space[:3] if len(space) == 4 and space.endswith("t") else space
    signs = SPACES.get(space)
    rules = [] if signs else [ASSUMED]
    if directions:
        placed = [each for each in directions[axes.first : axes.first + 3] if each is not None]
        origin = vectors(fields.get("space origin", ""), "space origin")
        sized, affine = True, _affine(placed, origin[0] if origin else None)
        affine = np.diag([*_units_mm(fields), 1.0]) @ affine
    else:
        sides = _spacings(fields, axes)
        sized, affine = sides is not None, np.diag([*(sides or (1.0, 1.0, 1.0)), 1.0])
        affine[:3, 3] = _corner(fields, axes, affine)
        rules += [] if sized else [NO_SIZE]
    affine = np.diag([*(signs or ASSUMED_SPACE), 1]) @ affine
    if not is_grid(affine):
        raise BrokenImage("an NRRD grid that cannot be turned back")
    source = "space directions" if directions else "spacings"
    return Placement(affine, sized, sized, None, source, tuple(rules))


def _affine(directions: Sequence[tuple[float, ...]], origin: tuple[float, ...] | None) -> Affine:
    if any(len(each) < 3 for each in (*directions, origin or (0.0, 0.0, 0.0))):
        raise UnsupportedImage("NRRD in a space of fewer than three dimensions is not read")
    affine = np.eye(4)
    affine[:3, :3] = np.array([each[:3] for each in directions]).T
    if origin is not None and not np.isnan(origin[:3]).any():
        affine[:3, 3] = origin[:3]
    return affine


def _units_mm(fields: Mapping[str, str]) -> tuple[float, float, float]:
    """Return millimetres of the units of space; what names none means millimetres."""
    named = re.findall(r'"([^"]*)"', fields.get("space units", ""))
    factors = [unit_mm(unit) for unit in (*named, "mm", "mm", "mm")]
    return factors[0], factors[1], factors[2]


def _spacings(fields: Mapping[str, str], axes: Axes) -> tuple[float, float, float] | None:
    said = real_numbers(fields.get("spacings", ""), "spacings")
    sides = said[axes.first : axes.first + 3]
    if len(sides) < 3 or not all(math.isfinite(side) and side > 0 for side in sides):
        return None
    return sides[0], sides[1], sides[2]


def _corner(fields: Mapping[str, str], axes: Axes, affine: Affine) -> Sequence[float]:
    """Return the centre of the first voxel by the lower ends of the axes.

    They are borders of cells, unless said otherwise; so ITK has it.
    """
    ends = real_numbers(fields.get("axis mins", fields.get("axismins", "")), "axis mins")
    lows = np.array(ends[axes.first : axes.first + 3])
    if len(lows) < 3 or not np.isfinite(lows).all():
        return (0.0, 0.0, 0.0)
    centred = fields.get("centers", fields.get("centerings", "")).lower().split()
    nodes = [i < len(centred) and centred[i] == "node" for i in range(axes.first, axes.first + 3)]
    halves = np.where(nodes, 0.0, 0.5)
    corner: list[float] = (lows + halves * affine.diagonal()[:3]).tolist()
    return corner
