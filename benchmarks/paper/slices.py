"""Converts volumes into one picture per slice."""

import re
from collections.abc import Iterator
from glob import escape
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from benchmarks.paper.errors import ConversionError
from benchmarks.paper.layout import Picture, safe_id
from benchmarks.paper.metaimage import read_metaimage
from benchmarks.paper.nifti import read_nifti
from benchmarks.paper.png import encode_grey
from benchmarks.paper.volume import Volume
from segmenter.contract import BinaryMask
from segmenter.formats.decoded import Window
from segmenter.formats.grey_levels import Ramp, exact_window, percentile_ramp, ramp


class Volumes(NamedTuple):
    """Volumes found by their path.

    Attributes:
        image: regular expression over the whole path below the download folder; its groups name
            the id and the label file.
        labels: glob of the label volume, with the groups in braces.
        id: template of the id from the groups; also the group of all slices.
        concepts: label values inside, by concept.
        window: grey window in the volume's units (CT: HU); None: percentiles 0.5 and 99.5 of the
            volume's non-zero values.
    """

    image: str
    labels: str
    id: str
    concepts: tuple[tuple[str, frozenset[int]], ...]
    window: Window | None = None


def convert_volumes(
    source: Path, kind: Volumes, split: str | None, *, keep_empty: bool = False
) -> Iterator[Picture]:
    """Yield the slices of all volumes, as 8-bit grey PNG.

    Args:
        source: the download folder.
        kind: where the volumes are.
        split: of all; None is ``test``.
        keep_empty: keep a slice's concepts that are not on it, as absent.

    Raises:
        ConversionError: no volume, labels missing, several, or of another shape.
    """
    paths = sorted(path.relative_to(source).as_posix() for path in source.rglob("*"))
    hits = [hit for path in paths if (hit := re.fullmatch(kind.image, path))]
    if not hits:
        raise ConversionError(f"no volume below {source} matches {kind.image!r}")
    return (
        picture
        for hit in hits
        for picture in _slices(source, kind, hit, split or "test", keep_empty)
    )


def _slices(
    source: Path, kind: Volumes, hit: re.Match[str], split: str, keep_empty: bool
) -> Iterator[Picture]:
    volume, labels = _read(source / hit.group()), _read_labels(source, kind, hit)
    if volume.values.shape != labels.values.shape:
        shapes = f"{labels.values.shape}, the volume {volume.values.shape}"
        raise ConversionError(f"labels of {hit.group()} have shape {shapes}")
    slope = _slope(volume, kind.window)
    name = safe_id(kind.id.format(**hit.groupdict()))
    for frame, (values, numbers) in enumerate(zip(volume.values, labels.values, strict=True)):
        masks = _masks(numbers, kind, keep_empty=keep_empty)
        if masks:
            yield Picture(
                id=f"{name}_s{frame:04d}",
                content=encode_grey(ramp(values.astype(np.float64), *slope)),
                suffix=".png",
                masks=masks,
                split=split,
                group=name,
                source_path=f"{hit.group()}#slice={frame}",
                spacing=volume.spacing,
                frame=frame,
            )


def _read(path: Path) -> Volume:
    return read_metaimage(path) if path.suffix == ".mhd" else read_nifti(path)


def _read_labels(source: Path, kind: Volumes, hit: re.Match[str]) -> Volume:
    named = {key: escape(value or "") for key, value in hit.groupdict().items()}
    pattern = kind.labels.format(**named)
    found = sorted(source.glob(pattern))
    if len(found) != 1:
        raise ConversionError(
            f"{len(found)} label volumes {pattern} for {hit.group()} below {source}, expected one"
        )
    return _read(found[0])


def _slope(volume: Volume, window: Window | None) -> Ramp:
    if window is not None:
        return exact_window(*window)
    finite = volume.values[np.isfinite(volume.values)]
    if not finite.size:
        raise ConversionError("a volume without a finite value")
    return percentile_ramp(finite[finite != 0], finite)[0]


def _masks(
    numbers: npt.NDArray[np.number], kind: Volumes, *, keep_empty: bool
) -> dict[str, BinaryMask]:
    masks = {concept: np.isin(numbers, list(values)) for concept, values in kind.concepts}
    return {concept: mask for concept, mask in masks.items() if keep_empty or mask.any()}
