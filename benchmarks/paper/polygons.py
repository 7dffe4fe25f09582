"""Converts MoNuSeg: TIFF or PNG tiles and one XML file of outlines each."""

from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import numpy.typing as npt

from benchmarks.paper.errors import ConversionError
from benchmarks.paper.layout import Picture, safe_id
from benchmarks.paper.paired import COPIED, number, split_of
from segmenter.contract import BinaryMask
from segmenter.formats.decode import decode
from segmenter.masks.geometry import unite

_IMAGES = (".tif", ".tiff", ".png")


def fill(vertices: npt.NDArray[np.float64], shape: tuple[int, ...]) -> BinaryMask:
    """Return the pixels whose centre is inside a closed outline (even-odd rule).

    A centre on a left edge is inside, one on a right edge outside.

    Args:
        vertices: float64, shape (N, 2), x and y; the centre of the first pixel is (0.5, 0.5).
        shape: (H, W) of the picture; parts outside are cut off.

    Returns:
        bool, shape (H, W).
    """
    height, width = shape
    inside: BinaryMask = np.zeros((height, width), dtype=np.bool_)
    centres = np.arange(width) + 0.5
    following = np.roll(vertices, -1, axis=0)
    top = max(0, int(np.floor(vertices[:, 1].min())))
    bottom = min(height, int(np.ceil(vertices[:, 1].max())))
    for row in range(top, bottom):
        crossings = _crossings(vertices, following, row + 0.5)
        inside[row] = np.searchsorted(crossings, centres, side="right") % 2 == 1
    return inside


def _crossings(
    first: npt.NDArray[np.float64], second: npt.NDArray[np.float64], y: float
) -> npt.NDArray[np.float64]:
    """Return the sorted x where edges cross a horizontal line."""
    crossing = (first[:, 1] <= y) != (second[:, 1] <= y)
    start, end = first[crossing], second[crossing]
    share = (y - start[:, 1]) / (end[:, 1] - start[:, 1])
    return np.sort(start[:, 0] + share * (end[:, 0] - start[:, 0]))


def read_outlines(path: Path) -> list[npt.NDArray[np.float64]]:
    """Return the outlines of an annotation file, each float64, shape (N, 2), x and y.

    Outlines of fewer than three points enclose nothing and are left out.

    Raises:
        ConversionError: no XML, or without ``Region`` elements with ``Vertex`` X and Y.
    """
    try:
        regions = list(ElementTree.parse(path).iter("Region"))
        outlines = [
            np.array([(float(point.attrib["X"]), float(point.attrib["Y"])) for point in points])
            for region in regions
            if len(points := list(region.iter("Vertex"))) >= 3
        ]
    except (ElementTree.ParseError, KeyError, ValueError) as error:
        raise ConversionError(f"{path} is no outline file ({error})") from error
    if not regions:
        raise ConversionError(f"{path} has no Region element")
    return outlines


def convert_polygons(source: Path, concept: str, split: str | None) -> Iterator[Picture]:
    """Yield the images that have an XML file of their name anywhere in the folder.

    Args:
        source: the download folder.
        concept: of all outlines.
        split: of all; None: ``train`` below a folder that says train, else ``test``.

    Raises:
        ConversionError: no XML file, or one without its image.
    """
    outlines = sorted(source.rglob("*.xml"))
    if not outlines:
        raise ConversionError(f"no *.xml annotation below {source}")
    images = {
        path.stem: path for path in sorted(source.rglob("*")) if path.suffix.lower() in _IMAGES
    }
    missing = [path.name for path in outlines if path.stem not in images]
    if missing:
        raise ConversionError(f"no {'/'.join(_IMAGES)} image below {source} for {missing}")
    return (_picture(source, images[path.stem], path, concept, split) for path in outlines)


def _picture(
    source: Path, image: Path, annotation: Path, concept: str, split: str | None
) -> Picture:
    content = image.read_bytes()
    decoded = decode(content)
    if decoded.format not in COPIED:
        raise ConversionError(f"{image} is {decoded.format}; {sorted(COPIED)} are copied")
    shape = decoded.pixels.shape[:2]
    layers = [fill(outline, shape) for outline in read_outlines(annotation)]
    path = image.relative_to(source).as_posix()
    part = "train" if "train" in path.lower() else "test"
    return Picture(
        id=safe_id(image.stem),
        content=content,
        suffix=COPIED[decoded.format],
        masks={concept: unite(layers, shape)},
        split=split or split_of(part),
        group=safe_id(image.stem),
        source_path=path,
        labels=number(layers, shape),
    )
