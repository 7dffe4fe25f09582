"""Object numbers of many frames, packed: plain, those of the largest volume take 600 MB."""

import zlib

import numpy as np
import numpy.typing as npt

# Runs of equal numbers shrink a hundredfold at the fastest level already.
LEVEL = 1


class PackedLabels:
    """A `segmenter.formats.frames.LabelFrames` that is filled frame by frame.

    Args:
        shape: (F, H, W).
    """

    def __init__(self, shape: tuple[int, int, int]) -> None:
        self._shape = shape
        # Frames on which nothing is are left out.
        self._packed: dict[int, bytes] = {}

    def put(self, index: int, labels: npt.NDArray[np.uint16]) -> None:
        """Keep a frame: uint16, shape (H, W); 0 is background."""
        self._packed[index] = zlib.compress(labels.tobytes(), LEVEL)

    def __len__(self) -> int:
        """Return the number of frames."""
        return self._shape[0]

    def __getitem__(self, index: int) -> npt.NDArray[np.uint16]:
        """Return a frame: uint16, shape (H, W)."""
        packed = self._packed.get(index)
        if packed is None:
            return np.zeros(self._shape[1:], np.uint16)
        return np.frombuffer(zlib.decompress(packed), np.uint16).reshape(self._shape[1:])
