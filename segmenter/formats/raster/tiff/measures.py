"""What TIFF dialects tell beyond pixels: sizes of pixels, and what pages are of.

Read of them: OME-TIFF, ImageJ, Aperio's slides, and resolutions per centimetre as fine as only
microscopes write them. Resolutions per inch are of prints, and no measure of what is shown.
"""

import re
from typing import NamedTuple

from segmenter.contract import Spacing
from segmenter.formats.raster.tiff import vocabulary as tags
from segmenter.formats.raster.tiff.directory import Directory

MM_OF_UNIT = {
    "nm": 1e-6,
    "µm": 1e-3,
    "μm": 1e-3,
    "\\u00b5m": 1e-3,
    "um": 1e-3,
    "micron": 1e-3,
    "microns": 1e-3,
    "micrometer": 1e-3,
    "mm": 1.0,
    "millimeter": 1.0,
    "cm": 10.0,
    "centimeter": 10.0,
    "inch": 25.4,
}
# Pixels per centimetre: 10 micrometres each. Scans of film and paper are coarser.
MICROSCOPE = 1_000
MM_PER_CM = 10.0


class Dialect(NamedTuple):
    """What a description says.

    Attributes:
        name: of the dialect: ``OME``, ``ImageJ``, ``Aperio``, or nothing.
        spacing: of the full picture's pixels; None if unknown.
        slice_mm: between planes; None if unknown.
        fps: of times; None if unknown.
        order: of pages, the fastest first, of the letters C, Z and T.
        sizes: of C, Z and T.
    """

    name: str = ""
    spacing: Spacing | None = None
    slice_mm: float | None = None
    fps: float | None = None
    order: str = "CZT"
    sizes: tuple[int, int, int] = (1, 1, 1)


def read_dialect(directory: Directory) -> Dialect:
    """Read the description of the first page.

    Raises:
        BrokenImage.
    """
    text = directory.raw(tags.DESCRIPTION).decode("utf-8", "replace")
    if text.startswith("ImageJ="):
        return _imagej(text, directory)
    if "<OME" in text[:4096] or "<ome:" in text[:4096].lower():
        return _ome(text)
    if text.startswith("Aperio"):
        found = re.search(r"\bMPP\s*=\s*([0-9.]{1,20})", text)
        return Dialect("Aperio", _square(_positive(found), 1e-3, "MPP"))
    return Dialect(spacing=_of_microscopes(directory))


def _ome(text: str) -> Dialect:
    """Read the first Pixels element. Source: OME schema 2016-06."""
    element = re.search(r"<(?:\w+:)?Pixels\b[^>]{0,4096}>", text)
    if element is None:
        return Dialect("OME")
    values = dict(re.findall(r'(\w+)\s*=\s*"([^"]{0,64})"', element[0]))
    x, y, z = (_length(values, f"PhysicalSize{axis}") for axis in "XYZ")
    # Samples of a colour pixel count as channels, but lie in one page.
    samples = re.search(r'<(?:\w+:)?Channel\b[^>]{0,4096}\bSamplesPerPixel\s*=\s*"(\d{1,4})"', text)
    channels = max(1, _whole(values.get("SizeC")) // max(1, int(samples[1]) if samples else 1))
    step = _number(values.get("TimeIncrement"))
    seconds = {"s": 1.0, "ms": 1e-3, "min": 60.0}.get(values.get("TimeIncrementUnit", "s"))
    order = values.get("DimensionOrder", "XYCZT")[2:]
    return Dialect(
        "OME",
        Spacing(row_mm=y, column_mm=x, source="PhysicalSizeX, PhysicalSizeY") if x and y else None,
        z,
        1.0 / (step * seconds) if step and seconds else None,
        order if sorted(order) == ["C", "T", "Z"] else "CZT",
        (channels, _whole(values.get("SizeZ")), _whole(values.get("SizeT"))),
    )


def _imagej(text: str, directory: Directory) -> Dialect:
    """Read ImageJ's lines. Source: ImageJ 1.54, FileInfo and TiffEncoder."""
    values = dict(line.split("=", 1) for line in text.splitlines()[:200] if "=" in line)
    factor = MM_OF_UNIT.get(values.get("unit", "").strip().lower())
    x, y = directory.ratio(tags.X_RESOLUTION), directory.ratio(tags.Y_RESOLUTION)
    spacing = None
    if factor and x and y:
        spacing = Spacing(
            row_mm=factor / float(y), column_mm=factor / float(x), source="ImageJ resolution"
        )
    depth = _number(values.get("spacing"))
    interval, rate = _number(values.get("finterval")), _number(values.get("fps"))
    images, channels = _whole(values.get("images")), _whole(values.get("channels"))
    slices, times = _whole(values.get("slices")), _whole(values.get("frames"))
    if channels * slices * times != images:
        channels, slices, times = 1, images, 1
    return Dialect(
        "ImageJ",
        spacing,
        depth * factor if depth and factor else None,
        rate or (1.0 / interval if interval else None),
        "CZT",
        (channels, slices, times),
    )


def _of_microscopes(directory: Directory) -> Spacing | None:
    x, y = directory.ratio(tags.X_RESOLUTION), directory.ratio(tags.Y_RESOLUTION)
    if directory.number(tags.RESOLUTION_UNIT, 2) != tags.CENTIMETRE or not x or not y:
        return None
    if min(x, y) < MICROSCOPE:
        return None
    return Spacing(
        row_mm=MM_PER_CM / float(y),
        column_mm=MM_PER_CM / float(x),
        source="XResolution, YResolution",
    )


def _square(side: float | None, factor: float, source: str) -> Spacing | None:
    if side is None:
        return None
    return Spacing(row_mm=side * factor, column_mm=side * factor, source=source)


def _length(values: dict[str, str], name: str) -> float | None:
    """Return a length in millimetres; OME's default unit is the micrometre."""
    found, factor = _number(values.get(name)), MM_OF_UNIT.get(values.get(f"{name}Unit", "µm"))
    return found * factor if found and factor else None


def _positive(found: re.Match[str] | None) -> float | None:
    return _number(found[1]) if found else None


def _number(text: str | None) -> float | None:
    """Return a finite number above 0, None for anything else."""
    try:
        found = float(text or "")
    except ValueError:
        return None
    return found if 1e-12 < found < 1e12 else None


def _whole(text: str | None) -> int:
    found = _number(text)
    return max(1, int(found)) if found else 1
