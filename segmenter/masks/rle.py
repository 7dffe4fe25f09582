"""COCO run lengths: masks as short strings.

Format: column-major runs, the first run counts zeros, each run (from the third on as a difference
to the run two before) in 5-bit groups, low group first, bit 6 says that more follow, 48 added.

Source: cocodataset/cocoapi, ``common/maskApi.c`` (rleToString, rleFrString), read as format
description. pycocotools is not used at run time: it compiles C on platforms without a wheel.
"""

import numpy as np

from segmenter.contract import BinaryMask, Rle


def encode(mask: BinaryMask) -> Rle:
    """Encode a mask: bool, shape (H, W)."""
    height, width = mask.shape
    flat = mask.ravel(order="F")
    edges = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    bounds = np.concatenate(([0], edges, [flat.size]))
    runs = np.diff(bounds).tolist()
    if flat.size and flat[0]:
        runs.insert(0, 0)
    return Rle(size=(height, width), counts=_to_string(runs))


def decode(rle: Rle) -> BinaryMask:
    """Decode to bool, shape (H, W).

    Raises:
        ValueError: the counts do not describe `rle.size`.
    """
    height, width = rle.size
    runs = _from_string(rle.counts)
    if sum(runs) != height * width or any(run < 0 for run in runs):
        raise ValueError(f"run lengths do not add up to {height} x {width}")
    values = np.arange(len(runs)) % 2 == 1
    return np.repeat(values, runs).reshape((height, width), order="F")


def _to_string(runs: list[int]) -> str:
    letters: list[str] = []
    for index, run in enumerate(runs):
        rest = run - runs[index - 2] if index > 2 else run
        while True:
            group = rest & 0x1F
            rest >>= 5
            more = rest != (-1 if group & 0x10 else 0)
            letters.append(chr((group | 0x20 if more else group) + 48))
            if not more:
                break
    return "".join(letters)


def _from_string(counts: str) -> list[int]:
    runs: list[int] = []
    value, shift = 0, 0
    for letter in counts:
        group = ord(letter) - 48
        if not 0 <= group < 64:
            raise ValueError(f"letter {letter!r} is not part of run lengths")
        value |= (group & 0x1F) << shift
        shift += 5
        if group & 0x20:
            continue
        if group & 0x10:
            value -= 1 << shift
        runs.append(value + runs[-2] if len(runs) > 2 else value)
        value, shift = 0, 0
    if shift:
        raise ValueError("run lengths end inside a number")
    return runs
