"""NIfTI volumes under every kind of header, whose label maps must lie on them in every viewer."""

import gzip
from collections.abc import Sequence
from functools import partial
from typing import Any

import nibabel
import numpy as np
import numpy.typing as npt

from benchmarks.intake.contract import LabelMap

KIND = "NIfTI label map"
SHAPE = (14, 12, 9)
Affine = npt.NDArray[np.float64]


def affine(
    zooms: tuple[float, float, float] = (0.7, 0.9, 3.0),
    flips: tuple[int, int, int] = (1, 1, 1),
    *,
    turned: float = 0.0,
    shear: float = 0.0,
) -> Affine:
    """Return an affine, RAS: turned about z by some degrees, sheared along y by some mm a slice."""
    angle = np.deg2rad(turned)
    rotation = np.array(
        [[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]]
    )
    made = np.eye(4)
    made[:3, :3] = rotation @ np.diag(np.array(zooms) * flips)
    made[1, 2] += shear
    made[:3, 3] = (10.0, -20.0, 30.0)
    return made


def volume(
    sform: Affine | None,
    qform: Affine | None,
    codes: tuple[int, int],
    *,
    order: tuple[int, int, int] = (0, 1, 2),
    unit: str = "mm",
    packed: bool = False,
) -> bytes:
    """Return a NIfTI file.

    Args:
        sform: None for none.
        qform: None for none.
        codes: of qform and sform.
        order: of the axes.
        unit: of lengths.
        packed: gzipped.
    """
    across, down, through = np.mgrid[0 : SHAPE[0], 0 : SHAPE[1], 0 : SHAPE[2]]
    values = (across * 40 + down * 20 + through * 7).astype(np.int16).transpose(order)
    image: Any = nibabel.Nifti1Image(values, None)  # type: ignore[no-untyped-call]
    zooms = np.array((0.7, 0.9, 3.0))[list(order)]
    image.header.set_zooms(zooms)
    for form, setter, code in (
        (sform, image.set_sform, codes[1]),
        (qform, image.set_qform, codes[0]),
    ):
        turned = None if form is None else form[:, [*order, 3]]
        setter(turned, code=code, **({"update_affine": False}))
    image.header.set_xyzt_units(unit)
    content: bytes = image.to_bytes()
    return gzip.compress(content) if packed else content


def _of(
    name: str, sform: Affine | None, qform: Affine | None, codes: tuple[int, int], **options: Any
) -> LabelMap:
    return LabelMap(name, KIND, partial(volume, sform, qform, codes, **options))


PLAIN, OTHER = affine(), affine(turned=10.0)

INPUTS: Sequence[LabelMap] = (
    _of("sform and qform, codes 1 and 1", PLAIN, PLAIN, (1, 1)),
    _of("sform alone, code 2", PLAIN, None, (0, 2)),
    _of("qform alone, code 1", None, PLAIN, (1, 0)),
    _of("codes 0 and 0", None, None, (0, 0)),
    _of("sform and qform that differ, codes 1 and 2", PLAIN, OTHER, (1, 2)),
    _of("sform and qform that differ, codes 2 and 4", OTHER, PLAIN, (2, 4)),
    _of("left-handed", affine(flips=(-1, 1, 1)), affine(flips=(-1, 1, 1)), (1, 1)),
    _of("all axes backwards", affine(flips=(-1, -1, -1)), affine(flips=(-1, -1, -1)), (1, 1)),
    _of("oblique", affine(turned=25.0), affine(turned=25.0), (1, 1)),
    _of("sheared sform, code 1", affine(shear=1.0), None, (0, 1)),
    _of("sheared sform over a straight qform", affine(shear=1.0), PLAIN, (1, 1)),
    _of("axes in another order", PLAIN, PLAIN, (1, 1), order=(2, 0, 1)),
    _of("gzipped", PLAIN, PLAIN, (1, 1), packed=True),
    _of("micrometres", affine(zooms=(700.0, 900.0, 3000.0)), None, (0, 1), unit="micron"),
)
