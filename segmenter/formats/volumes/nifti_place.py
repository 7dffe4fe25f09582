"""Where a NIfTI or Analyze header puts its voxels, and how that place is copied bit for bit.

A header has up to three places: the sform, the qform, and pixdim alone. Readers differ in which
they take, so a label map carries all of them as they came; what is shown and measured is by the
sform, else the qform, as nibabel has it.
"""

from typing import Any

import nibabel
import numpy as np
from nibabel.spatialimages import HeaderDataError

from segmenter.formats.frames import Affine
from segmenter.formats.volumes.placement import Placement, is_grid

# Fields of NIfTI that place voxels, beside the first four of pixdim.
PLACE_FIELDS = (
    "qform_code",
    "sform_code",
    "quatern_b",
    "quatern_c",
    "quatern_d",
    "qoffset_x",
    "qoffset_y",
    "qoffset_z",
    "srow_x",
    "srow_y",
    "srow_z",
    "xyzt_units",
)
# By the three lowest bits of xyzt_units: metres, millimetres, microns.
MM_OF_UNIT = {1: 1000.0, 2: 1.0, 3: 0.001}
SPACE_BITS = 7
PIXDIM = "pixdim"
ASSUMED = "no orientation in the header: shown as Analyze has it, front up and right at the left"
QFORM_DIFFERS = "placed by the sform, the qform says otherwise"
NO_SFORM = "not placed by the sform, which is no grid"
NO_SIZE = "no voxel size in the header"
# Of the smallest side of a voxel: by less two forms differ only in their rounding.
SAME_PLACE = 0.1


def nifti_place(stated: Any, header: Any) -> Placement:
    """Decide on a place.

    Args:
        stated: nibabel's header as it came.
        header: the same one, repaired.
    """
    # A file that names no unit means millimetres.
    unit_mm = MM_OF_UNIT.get(int(header["xyzt_units"]) & SPACE_BITS, 1.0)
    sform, qform = _forms(header)
    sides = _pixdim(stated)
    rules = []
    if int(header["sform_code"]) > 0 and sform is None:
        rules.append(NO_SFORM)
    if sform is None and qform is None:
        rules.append(ASSUMED)
    turned = int(header["qform_code"]) > 0
    if sform is not None and turned and (qform is None or _differ(sform, qform, header)):
        rules.append(QFORM_DIFFERS)
    found = sform if sform is not None else qform
    sized = sides is not None or sform is not None
    if not sized:
        rules.append(NO_SIZE)
    affine = header.get_base_affine() if found is None else found
    return Placement(
        affine=np.diag([unit_mm, unit_mm, unit_mm, 1.0]) @ np.asarray(affine, np.float64),
        known=found is not None and sized,
        sized=sized,
        stated_mm=_in_mm(sides, unit_mm),
        size_source=PIXDIM,
        rules=tuple(rules),
    )


def analyze_place(stated: Any, header: Any) -> Placement:
    """Return the sizes of an Analyze header, which does not tell left from right."""
    sides = _pixdim(stated)
    return Placement(
        affine=np.asarray(header.get_base_affine(), np.float64),
        known=False,
        sized=sides is not None,
        stated_mm=sides,
        size_source=PIXDIM,
        rules=(ASSUMED,) if sides is not None else (ASSUMED, NO_SIZE),
    )


def placed_as(raw: bytes) -> Any:
    """Return a new header with the place of a NIfTI or Analyze header, bit for bit.

    Args:
        raw: header of the source. Of Analyze there is only pixdim, and both codes are 0.
    """
    if len(raw) == nibabel.Nifti2Header.sizeof_hdr:
        source: Any = nibabel.Nifti2Header(raw, check=False)  # type: ignore[no-untyped-call]
        copy: Any = nibabel.Nifti2Header()  # type: ignore[no-untyped-call]
    else:
        source = nibabel.Nifti1Header(raw, check=False)  # type: ignore[no-untyped-call]
        copy = nibabel.Nifti1Header()  # type: ignore[no-untyped-call]
    copy["pixdim"][:4] = source["pixdim"][:4]
    if bytes(source["magic"])[:1] == b"n":
        for field in PLACE_FIELDS:
            copy[field] = source[field]
    return copy


def _forms(header: Any) -> tuple[Affine | None, Affine | None]:
    """Return sform and qform, None where the header has none."""
    sform = header.get_sform(coded=True)[0]
    sform = sform if sform is not None and is_grid(sform) else None
    try:
        qform = header.get_qform(coded=True)[0]
    except (HeaderDataError, ValueError):
        if sform is None:
            raise HeaderDataError("a qform that is no rotation") from None
        return sform, None
    return sform, qform if qform is not None and is_grid(qform) else None


def _pixdim(stated: Any) -> tuple[float, float, float] | None:
    """Return the voxel size as stated; None if it is no size.

    NIfTI-1.1 makes pixdim the size of a voxel also where an sform places it; files exist whose
    sform is a mere sketch of 1 mm. A sign means nothing.
    """
    first, second, third = (abs(float(side)) for side in stated["pixdim"][1:4])
    known = np.isfinite([first, second, third]).all() and min(first, second, third) > 0
    return (first, second, third) if known else None


def _in_mm(
    sides: tuple[float, float, float] | None, unit_mm: float
) -> tuple[float, float, float] | None:
    if sides is None:
        return None
    return sides[0] * unit_mm, sides[1] * unit_mm, sides[2] * unit_mm


def _differ(sform: Affine, qform: Affine, header: Any) -> bool:
    """Tell whether two forms put a corner of the volume at two places."""
    ends = [side - 1 for side in (*header.get_data_shape(), 1)[:3]]
    corners = np.array(np.meshgrid(*[[0, end] for end in ends], [1])).reshape(4, -1)
    apart = np.linalg.norm(((sform - qform) @ corners)[:3], axis=0)
    smallest = float(np.linalg.norm(qform[:3, :3], axis=0).min())
    return bool(apart.max() > SAME_PLACE * smallest)
