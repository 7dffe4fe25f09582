"""Converts folders of image files with mask files beside them."""

import re
from collections.abc import Iterator, Mapping, Sequence
from glob import escape
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from benchmarks.paper.errors import ConversionError
from benchmarks.paper.layout import Picture, safe_id
from segmenter.contract import BinaryMask
from segmenter.formats.decode import decode
from segmenter.formats.decoded import IDENTITY, DecodedImage
from segmenter.masks.geometry import unite

COPIED = {"png": ".png", "jpeg": ".jpg", "tiff": ".tif", "bmp": ".bmp"}
Colour = tuple[int, int, int]


def grey(*levels: int) -> frozenset[Colour]:
    """Return grey levels of 8 bits as colours."""
    return frozenset((level, level, level) for level in levels)


class Target(NamedTuple):
    """How one concept is annotated.

    Attributes:
        concept: the phrase.
        masks: glob of the mask files below the download folder, with the named groups of the
            image's pattern in braces; several files are united. None: looked for and absent.
        colours: of the pixels inside; empty: every pixel brighter than 127 (also JPEG).
    """

    concept: str
    masks: str | None
    colours: frozenset[Colour] = frozenset()


class Paired(NamedTuple):
    """Images found by their path.

    Attributes:
        image: regular expression over the whole path below the download folder, with ``/``; its
            groups name the id, the group and the mask files.
        id: template of the id from the groups.
        targets: concepts annotated on these images.
        group: template of the patient or sequence.
        instances: every mask file of the (only) target is one instance.
    """

    image: str
    id: str
    targets: tuple[Target, ...]
    group: str = ""
    instances: bool = False


def convert_paired(source: Path, kinds: Sequence[Paired], split: str | None) -> Iterator[Picture]:
    """Yield the pictures of a download folder.

    Args:
        source: the download folder.
        kinds: where images are; each may have none, all together must have some.
        split: of all; None: by the group ``part`` of the pattern, ``test`` without one.

    Raises:
        ConversionError: no image, a mask missing, or of another size.
    """
    paths = sorted(path.relative_to(source).as_posix() for path in source.rglob("*"))
    found = [(kind, named) for kind in kinds for path in paths if (named := _named(kind, path))]
    if not found:
        wanted = ", ".join(repr(kind.image) for kind in kinds)
        raise ConversionError(f"no image below {source} matches {wanted}")
    return (_picture(source, kind, named, split) for kind, named in found)


def _named(kind: Paired, path: str) -> dict[str, str] | None:
    hit = re.fullmatch(kind.image, path)
    return {**hit.groupdict(default=""), "path": path} if hit else None


def _picture(source: Path, kind: Paired, named: dict[str, str], split: str | None) -> Picture:
    content = (source / named["path"]).read_bytes()
    image = decode(content)
    if image.format not in COPIED:
        raise ConversionError(f"{named['path']} is {image.format}; {sorted(COPIED)} are copied")
    shape = image.pixels.shape[:2]
    layers = {target.concept: _layers(source, target, named, shape) for target in kind.targets}
    name = safe_id(kind.id.format(**named))
    return Picture(
        id=name,
        content=content,
        suffix=COPIED[image.format],
        masks={concept: unite(several, shape) for concept, several in layers.items()},
        split=split or split_of(named.get("part", "")),
        group=safe_id(kind.group.format(**named)) or name,
        source_path=named["path"],
        labels=number(layers[kind.targets[0].concept], shape) if kind.instances else None,
    )


def split_of(part: str) -> str:
    """Return the split of a folder's name: train or validation data is ``train``."""
    return "train" if part.lower().startswith(("train", "val")) else "test"


def _layers(
    source: Path, target: Target, named: Mapping[str, str], shape: tuple[int, ...]
) -> list[BinaryMask]:
    """Read the mask files of one image and concept, in the order of their names."""
    if target.masks is None:
        return []
    pattern = target.masks.format(**{key: escape(value) for key, value in named.items()})
    paths = sorted(source.glob(pattern))
    if not paths:
        raise ConversionError(f"no mask {pattern} for {named['path']} below {source}")
    return [_layer(path, target, shape) for path in paths]


def _layer(path: Path, target: Target, shape: tuple[int, ...]) -> BinaryMask:
    mask = decode(path.read_bytes())
    _check(path, mask, shape)
    if not target.colours:
        bright: BinaryMask = mask.pixels.max(axis=2) > 127
        return bright
    inside: BinaryMask = np.zeros(shape, dtype=np.bool_)
    for colour in target.colours:
        inside |= (mask.pixels == np.array(colour, dtype=np.uint8)).all(axis=2)
    return inside


def _check(path: Path, mask: DecodedImage, shape: tuple[int, ...]) -> None:
    if mask.rendering != IDENTITY:
        raise ConversionError(f"mask {path} is read with other values ({mask.rendering})")
    if mask.pixels.shape[:2] != shape:
        size = mask.pixels.shape[:2]
        raise ConversionError(f"mask {path} has (rows, columns) {size}, its image {shape}")


def number(layers: Sequence[BinaryMask], shape: tuple[int, ...]) -> npt.NDArray[np.uint16]:
    """Number instances from 1, uint16, shape (H, W); where they overlap the later one counts.

    Raises:
        ConversionError: more than 16 bits can count.
    """
    if len(layers) > np.iinfo(np.uint16).max:
        raise ConversionError(f"{len(layers)} instances in a picture, 65535 can be numbered")
    labels = np.zeros(shape, dtype=np.uint16)
    for index, layer in enumerate(layers, start=1):
        labels[layer] = index
    return labels
