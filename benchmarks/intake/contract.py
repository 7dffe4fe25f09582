"""A row of the intake table: an input, the truth about it, and what came of it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

Rgb = npt.NDArray[np.uint8]
Verdict = Literal["right", "wrong", "refused with words"]
# Grey levels; two programs may round a half differently.
LEVEL_TOLERANCE = 1
# Positions are written in decimal strings, of a few digits.
MM_TOLERANCE = 0.01


class TruthIsMissing(Exception):
    """A program that knows the truth is not there, or does not read the input."""


class PictureTruth(NamedTuple):
    """Who says what a picture looks like.

    Attributes:
        name: program and options, or what the picture was made of.
        read: of a file, uint8, shape (H, W, 3); raises `TruthIsMissing`.
    """

    name: str
    read: Callable[[bytes], Rgb]


@dataclass(frozen=True)
class Picture:
    """One file that holds one picture.

    Attributes:
        name: what it is.
        kind: group of rows.
        build: makes the file.
        truth: None where it must be refused.
    """

    name: str
    kind: str
    build: Callable[[], bytes]
    truth: PictureTruth | None


class Space(Protocol):
    """A volume as another program places it."""

    @property
    def frames(self) -> int:
        """How many slices it has."""
        ...

    def locate(self, point: npt.NDArray[np.float64]) -> tuple[float, float]:
        """Return the distance from a point, LPS millimetres, to the next voxel, and its value."""
        ...


class VolumeTruth(NamedTuple):
    """Who says where voxels are.

    Attributes:
        name: program, or tags.
        read: of the files; raises `TruthIsMissing`.
    """

    name: str
    read: Callable[[list[bytes]], Space]


@dataclass(frozen=True)
class Volume:
    """Files that hold one volume.

    Attributes:
        name: what it is.
        kind: group of rows.
        build: makes the files.
        truth: None where it must be refused.
        center: of the window that shows its values.
        width: of that window.
        rounding_mm: how far written positions may be off the even grid that they stand for.
    """

    name: str
    kind: str
    build: Callable[[], list[bytes]]
    truth: VolumeTruth | None
    center: float = 500.0
    width: float = 1000.0
    rounding_mm: float = 0.0


@dataclass(frozen=True)
class LabelMap:
    """A NIfTI volume whose label map must lie on it in every viewer.

    Attributes:
        name: what it is.
        kind: group of rows.
        build: makes the volume.
    """

    name: str
    kind: str
    build: Callable[[], bytes]


Input = Picture | Volume | LabelMap


class Outcome(NamedTuple):
    """A row of the table, as text, and its verdict."""

    name: str
    kind: str
    ours: str
    truth: str
    difference: str
    verdict: Verdict
