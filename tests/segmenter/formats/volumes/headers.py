"""NIfTI and Analyze files written field by field, as headers of hospitals come."""

from collections.abc import Mapping
from typing import Any, Literal

import nibabel
import numpy as np

SHAPE = (5, 6, 4)
PIXDIM = (1.0, 0.7, 0.9, 3.0)
# A turn of 25 degrees about (1, 1, 1).
QUATERNION = {"quatern_b": 0.12496, "quatern_c": 0.12496, "quatern_d": 0.12496}
OFFSETS = {"qoffset_x": -12.5, "qoffset_y": 40.0, "qoffset_z": 3.25}
SCANNER: Mapping[str, Any] = {"qform_code": 1, **QUATERNION, **OFFSETS}


def rows_of(affine: np.ndarray) -> dict[str, Any]:
    """The sform's fields of an affine."""
    return {f"srow_{axis}": affine[row] for row, axis in enumerate("xyz")}


def placed(*columns: tuple[float, float, float], at: tuple[float, float, float] = (1, 2, 3)) -> Any:
    affine = np.eye(4)
    affine[:3, :3] = np.array(columns).T
    affine[:3, 3] = at
    return affine


def matching_sform(fields: Mapping[str, Any], pixdim: tuple[float, ...] = PIXDIM) -> dict[str, Any]:
    """The sform that says what the qform of some fields does."""
    header: Any = nibabel.Nifti1Header()
    header.set_data_shape(SHAPE)
    header["pixdim"][:4] = pixdim
    for name, value in fields.items():
        header[name] = value
    return rows_of(header.get_qform())


STRAIGHT = placed((-0.7, 0, 0), (0, -0.9, 0), (0, 0, 3))
TILTED = placed((-0.7, 0, 0), (0, -0.9, 0), (0, -1.0919, 3))


def nifti(
    fields: Mapping[str, Any],
    *,
    values: np.ndarray | None = None,
    pixdim: tuple[float, ...] = PIXDIM,
    big_endian: bool = False,
    second: bool = False,
    extension: bytes = b"",
    pair: bool = False,
) -> list[bytes]:
    """One file, or header and voxels."""
    stored = numbered() if values is None else values
    order: Literal[">", "<"] = ">" if big_endian else "<"
    kind: Any = nibabel.Nifti2Header if second else nibabel.Nifti1Header
    header = kind(endianness=order)
    header.set_data_dtype(stored.dtype)
    header.set_data_shape(stored.shape)
    header["pixdim"][: len(pixdim)] = pixdim
    for name, value in fields.items():
        header[name] = value
    size, voxels = header.sizeof_hdr, stored.astype(stored.dtype.newbyteorder(order))
    if pair:
        header["magic"] = b"ni1"
        return [header.binaryblock, voxels.tobytes(order="F")]
    header["vox_offset"] = size + 4 + len(extension)
    mark = b"\1\0\0\0" if extension else bytes(4)
    return [header.binaryblock + mark + extension + voxels.tobytes(order="F")]


def analyze(values: np.ndarray | None = None, *, big_endian: bool = False) -> list[bytes]:
    """Header and voxels of Analyze 7.5."""
    stored = numbered() if values is None else values
    order: Literal[">", "<"] = ">" if big_endian else "<"
    header: Any = nibabel.AnalyzeHeader(endianness=order)
    header.set_data_dtype(stored.dtype)
    header.set_data_shape(stored.shape)
    header["pixdim"][1:4] = PIXDIM[1:]
    voxels = stored.astype(stored.dtype.newbyteorder(order))
    return [header.binaryblock, voxels.tobytes(order="F")]


def numbered(shape: tuple[int, ...] = SHAPE, dtype: Any = np.int16) -> np.ndarray:
    return np.arange(np.prod(shape)).astype(dtype).reshape(shape)


BOTH: Mapping[str, Any] = {**SCANNER, **matching_sform(SCANNER), "sform_code": 1}
# An extension of 16 bytes: its size, a comment's code, and text.
EXTENSION = (16).to_bytes(4, "little") + (6).to_bytes(4, "little") + b"comment\0"
MM = 2

HEADERS: dict[str, list[bytes]] = {
    "both codes 0": nifti({"xyzt_units": MM}),
    "both codes 0, filled": nifti({**BOTH, "qform_code": 0, "sform_code": 0}),
    "qform alone": nifti(SCANNER),
    "sform alone": nifti({**rows_of(STRAIGHT), "sform_code": 1, "xyzt_units": MM}),
    "both alike": nifti(BOTH),
    "both with other codes": nifti({**BOTH, "qform_code": 1, "sform_code": 4}),
    "both differ": nifti({**SCANNER, **rows_of(STRAIGHT), "sform_code": 1}),
    "both differ, other codes": nifti({**SCANNER, **rows_of(STRAIGHT), "sform_code": 2}),
    "negative qfac": nifti(SCANNER, pixdim=(-1.0, 0.7, 0.9, 3.0)),
    "qfac 0": nifti(SCANNER, pixdim=(0.0, 0.7, 0.9, 3.0)),
    "sheared sform with a rigid qform": nifti({**SCANNER, **rows_of(TILTED), "sform_code": 1}),
    "sform a sketch of 1 mm": nifti(
        {**rows_of(placed((-1, 0, 0), (0, -1, 0), (0, 0, 1))), "sform_code": 1}
    ),
    "sform of zeros": nifti({**SCANNER, "sform_code": 1}),
    "negative pixdim": nifti(SCANNER, pixdim=(1.0, -0.7, 0.9, 3.0)),
    "pixdim 0": nifti({**rows_of(STRAIGHT), "sform_code": 1}, pixdim=(1.0, 0.0, 0.0, 0.0)),
    "metres": nifti({**BOTH, "xyzt_units": 1}),
    "microns": nifti({**BOTH, "xyzt_units": 3}),
    "units of no meaning": nifti({**BOTH, "xyzt_units": 0x40 + MM}),
    "sform with a qform of no rotation": nifti(
        {"qform_code": 1, "quatern_b": 1.2, **rows_of(STRAIGHT), "sform_code": 1}
    ),
    "seconds too": nifti({**BOTH, "xyzt_units": MM + 8}),
    "big endian": nifti(BOTH, big_endian=True),
    "with an extension": nifti(BOTH, extension=EXTENSION),
    "four axes, one volume": nifti(BOTH, values=numbered((*SHAPE, 1))),
    "five axes, one volume": nifti(BOTH, values=numbered((*SHAPE, 1, 1))),
    "unsigned": nifti(BOTH, values=numbered(dtype=np.uint8)),
    "float": nifti({**BOTH, "scl_slope": np.nan}, values=numbered(dtype=np.float32)),
    "double, scale 0": nifti({**BOTH, "scl_slope": 0.0}, values=numbered(dtype=np.float64)),
    "header and voxels": nifti(BOTH, pair=True),
    "Analyze": analyze(),
    "Analyze, big endian": analyze(big_endian=True),
}
