"""Series and multi-frame files: order, spacing, tilt, and what is no one series."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom import uid
from pydicom.dataset import Dataset

from benchmarks.intake.contract import Volume, VolumeTruth
from benchmarks.intake.files import Pixels, dataset, saved
from benchmarks.intake.places import by_itk, by_tags

SERIES, ENHANCED = "series", "enhanced multi-frame"
ROWS, COLUMNS = 20, 28
FloatArray = npt.NDArray[np.float64]
AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
SAGITTAL = (0.0, 1.0, 0.0, 0.0, 0.0, -1.0)
CORONAL = (1.0, 0.0, 0.0, 0.0, 0.0, -1.0)
OBLIQUE = (0.8, 0.6, 0.0, -0.36, 0.48, 0.8)


@dataclass(frozen=True)
class Series:
    """How a series is made.

    Attributes:
        slices: how many.
        step_mm: from one to the next, along the normal of the first.
        shift_mm: of each slice within the plane against the one before: (column, row) direction.
        cosines: of rows and columns.
        spacing: between rows and between columns.
        decimals: that positions are written with.
        backwards: whether files come in the other order, and numbers too.
        numbered: what is added to the numbers of slices.
    """

    slices: int = 6
    step_mm: float = 3.0
    shift_mm: tuple[float, float] = (0.0, 0.0)
    cosines: tuple[float, ...] = AXIAL
    spacing: tuple[float, float] = (0.9, 0.7)
    decimals: int = 6
    backwards: bool = False
    numbered: int = 0
    series_uid: str = "1.2.3.4.1"
    frame_uid: str = "1.2.3.4.2"
    start: tuple[float, float, float] = (-40.0, -30.0, 12.0)

    def position(self, index: int) -> list[float]:
        """Return where the first pixel of a slice is, LPS millimetres, as written."""
        across, down = np.array(self.cosines[:3]), np.array(self.cosines[3:])
        along = np.cross(across, down) * self.step_mm
        shift = across * self.shift_mm[0] + down * self.shift_mm[1]
        exact: FloatArray = np.array(self.start) + index * (along + shift)
        return [round(float(side), self.decimals) for side in exact]


def values(index: int) -> Pixels:
    """Return the stored values of a slice, another picture in each: uint16, shape (20, 28)."""
    down, right = np.mgrid[0:ROWS, 0:COLUMNS]
    return np.asarray(down * 30 + right * 10 + index * 17, np.uint16)


def slice_file(series: Series, index: int, **attributes: Any) -> bytes:
    """Return the file of one slice."""
    made = dataset(values(index), BitsStored=12, HighBit=11)
    made.SOPClassUID = uid.CTImageStorage
    made.Modality = "CT"
    made.SeriesInstanceUID = series.series_uid
    made.FrameOfReferenceUID = series.frame_uid
    made.StudyInstanceUID = "1.2.3.4.3"
    made.ImageOrientationPatient = list(series.cosines)
    made.ImagePositionPatient = series.position(index)
    made.PixelSpacing = list(series.spacing)
    made.SliceThickness = 3.0
    made.InstanceNumber = series.numbered + index + 1
    made.RescaleSlope, made.RescaleIntercept = 1, 0
    for keyword, value in attributes.items():
        setattr(made, keyword, value)
    return saved(made)


def files(series: Series) -> list[bytes]:
    """Return the files of a series."""
    order = range(series.slices)
    return [slice_file(series, index) for index in (reversed(order) if series.backwards else order)]


def _mixed(*parts: Series) -> list[bytes]:
    return [content for part in parts for content in files(part)]


def _shuffled(series: Series) -> list[bytes]:
    made = files(series)
    return [made[place] for place in np.random.default_rng(2).permutation(len(made))]


def _one_off(series: Series, index: int, **attributes: Any) -> list[bytes]:
    """Return a series of which one slice has other attributes."""
    made = files(series)
    made[index] = slice_file(series, index, **attributes)
    return made


def enhanced(
    order: Sequence[int], slopes: Sequence[float] = (1.0,), series: Series | None = None
) -> list[bytes]:
    """Return one file of many frames.

    Args:
        order: which slice each frame is.
        slopes: of the frames, over and over; stored values are divided by them.
        series: where slices are.
    """
    series = series or Series(slices=len(order))
    of_frame = [slopes[number % len(slopes)] for number in range(len(order))]
    stored = [values(index) / slope for index, slope in zip(order, of_frame, strict=True)]
    frames = np.rint(np.stack(stored)).astype(np.uint16)
    made = dataset(frames, NumberOfFrames=len(order))
    made.SOPClassUID = uid.EnhancedMRImageStorage
    made.Modality = "MR"
    made.SeriesInstanceUID, made.FrameOfReferenceUID = series.series_uid, series.frame_uid
    made.SharedFunctionalGroupsSequence = [
        _group(
            PlaneOrientationSequence={"ImageOrientationPatient": list(series.cosines)},
            PixelMeasuresSequence={"PixelSpacing": list(series.spacing), "SliceThickness": 3.0},
        )
    ]
    made.PerFrameFunctionalGroupsSequence = [
        _group(
            PlanePositionSequence={"ImagePositionPatient": series.position(index)},
            PixelValueTransformationSequence={"RescaleSlope": slope, "RescaleIntercept": 0},
        )
        for index, slope in zip(order, of_frame, strict=True)
    ]
    return [saved(made)]


def _group(**macros: dict[str, Any]) -> Dataset:
    group = Dataset()
    for sequence, attributes in macros.items():
        item = Dataset()
        for keyword, value in attributes.items():
            setattr(item, keyword, value)
        setattr(group, sequence, [item])
    return group


def _of(name: str, series: Series, truth: VolumeTruth, order: Any = files) -> Volume:
    # Half of the last decimal, along three axes.
    rounding_mm = 0.5 * 10.0**-series.decimals * np.sqrt(3.0)
    return Volume(name, SERIES, partial(order, series), truth, rounding_mm=rounding_mm)


def _refused(name: str, build: Callable[[], list[bytes]]) -> Volume:
    return Volume(name, SERIES, build, None)


def _frames(name: str, *args: Any) -> Volume:
    return Volume(name, ENHANCED, partial(enhanced, *args), by_tags())


EVEN = Series()
OTHER = replace(EVEN, series_uid="1.2.3.4.9", spacing=(1.8, 1.4), start=(-80.0, -60.0, 200.0))

BETWEEN = replace(EVEN, series_uid="1.2.3.4.7", start=(-40.0, -30.0, 13.5))


def _but_one(name: str, **attributes: Any) -> Volume:
    """A series of which the fourth slice has other attributes."""
    return _refused(name, partial(_one_off, EVEN, 3, **attributes))


INPUTS: Sequence[Volume] = (
    _of("axial", EVEN, by_itk()),
    _of("axial, files and numbers backwards", replace(EVEN, backwards=True), by_itk()),
    _of("axial, files in no order", EVEN, by_itk(), _shuffled),
    _of("from the head downwards", replace(EVEN, step_mm=-3.0), by_itk()),
    _of("sagittal", replace(EVEN, cosines=SAGITTAL), by_itk()),
    _of("coronal", replace(EVEN, cosines=CORONAL), by_itk()),
    _of("oblique", replace(EVEN, cosines=OBLIQUE), by_itk()),
    _of("two slices", replace(EVEN, slices=2), by_itk()),
    _of("0.625 mm at 2 decimals", replace(EVEN, slices=10, step_mm=0.625, decimals=2), by_tags()),
    _of("2/3 mm at 3 decimals", replace(EVEN, slices=10, step_mm=2 / 3, decimals=3), by_tags()),
    _of("1/3 mm at 3 decimals", replace(EVEN, slices=10, step_mm=1 / 3, decimals=3), by_tags()),
    _of("1.25 mm at 1 decimal", replace(EVEN, slices=10, step_mm=1.25, decimals=1), by_tags()),
    _of(
        "oblique 1 mm at 2 decimals, 160 slices",
        replace(EVEN, slices=160, step_mm=1.0, decimals=2, cosines=OBLIQUE),
        by_tags(),
    ),
    _of("gantry tilt of 20 degrees", replace(EVEN, shift_mm=(0.0, 1.092)), by_tags()),
    _of("gantry tilt the other way", replace(EVEN, shift_mm=(0.0, -1.6)), by_tags()),
    _refused("two series", partial(_mixed, replace(EVEN, slices=2), replace(OTHER, slices=2))),
    _refused("another series half a step between", partial(_mixed, EVEN, BETWEEN)),
    _but_one("one slice shifted in its plane", ImagePositionPatient=[-30.0, -30.0, 21.0]),
    _but_one("one slice of another spacing", PixelSpacing=[1.0, 1.0]),
    _but_one("one slice of another series", SeriesInstanceUID="1.2.3.4.8"),
    _but_one("one slice of another frame of reference", FrameOfReferenceUID="1.2.3.4.8"),
    _but_one("one slice a quarter of a step off", ImagePositionPatient=[-40.0, -30.0, 21.7]),
    _frames("in order", range(6)),
    _frames("backwards", range(5, -1, -1)),
    _frames("interleaved", (0, 2, 4, 6, 8, 10, 1, 3, 5, 7, 9, 11)),
    _frames("a slope for each frame", range(6), (1.0, 0.5)),
    _frames("interleaved, a slope for each frame", (0, 2, 4, 1, 3, 5), (1.0, 1.0, 1.0, 0.25)),
)
