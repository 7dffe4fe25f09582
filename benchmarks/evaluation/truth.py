"""Reads annotations: where the target is, and which pixels are one instance."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from benchmarks.evaluation.records import Case
from segmenter.contract import BinaryMask
from segmenter.errors import InputError, UnsupportedImage
from segmenter.formats.decode import decode
from segmenter.formats.raster.image import read_labels
from segmenter.formats.sniff import sniff


class Truth(NamedTuple):
    """What an answer is measured against.

    Attributes:
        target: bool, shape (H, W).
        labels: uint16, shape (H, W), one number per instance; None without.
    """

    target: BinaryMask
    labels: npt.NDArray[np.uint16] | None


def read_truth(case: Case, shape: tuple[int, int]) -> Truth:
    """Read the annotation of a case; without one the target is nowhere.

    Args:
        case: an image and concept.
        shape: (H, W) of its picture.

    Raises:
        InputError: a file does not decode, or has another size than the picture.
    """
    if case.mask is None:
        return Truth(np.zeros(shape, dtype=np.bool_), None)
    target = read_mask(case.mask.read_bytes())
    labels = None if case.labels is None else read_labels(case.labels.read_bytes())
    for name, found in (("mask", target), ("labels", labels)):
        if found is not None and found.shape != shape:
            raise InputError(
                f"the {name} has {found.shape[1]} x {found.shape[0]} pixels,"
                f" the image {shape[1]} x {shape[0]}"
            )
    return Truth(target, labels)


def read_mask(content: bytes) -> BinaryMask:
    """Decode an annotation: bool, shape (H, W), True where it is not black.

    JPEG cannot keep black black, so there the brighter half counts. Grey of 16 bits is read as
    stored: the darkest label must not become black.

    Raises:
        BrokenImage, ImageTooLarge, UnsupportedImage.
    """
    least = 128 if sniff(content) == "jpeg" else 1
    try:
        inside: BinaryMask = read_labels(content) >= least
    except UnsupportedImage:
        inside = decode(content).pixels.max(axis=2) >= least
    return inside
