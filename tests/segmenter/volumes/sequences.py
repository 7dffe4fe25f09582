"""Sequences that need no codec: an array of frames, read and written as such."""

import gzip
from collections.abc import Sequence

import nibabel
import numpy as np
import numpy.typing as npt

from segmenter.contract import RgbImage, Spacing
from segmenter.errors import BrokenImage, ImageTooLarge
from segmenter.formats.frames import FrameGeometry, ReadOptions, SequenceReader, SourceGrid

MAX_FRAMES = 100
SPACING = Spacing(row_mm=2.0, column_mm=1.5, source="test")
SLICE_MM = 5.0
VOXEL_ML = 0.015


class ArrayFrames:
    """Frames of an array, uint8 (F, H, W, 3); a volume of voxels of 2 x 1.5 x 5 mm."""

    format, modality, rendering = "raw", None, "identity"
    origins, skipped = (), ()

    def __init__(self, pixels: npt.NDArray[np.uint8]) -> None:
        self._pixels = pixels
        self.count, self.height, self.width = pixels.shape[:3]
        self.geometry = FrameGeometry(
            axis="depth", spacing=SPACING, slice_mm=SLICE_MM, step_mm=SLICE_MM, voxel_ml=VOXEL_ML
        )
        self.source = SourceGrid()

    def frame(self, index: int) -> RgbImage:
        return self._pixels[index]


def _open_raw(files: Sequence[bytes], options: ReadOptions) -> ArrayFrames:
    """Open what `encode_frames` wrote."""
    content = b"".join(files)
    if not content.startswith(b"SEQ"):
        raise BrokenImage("no raw sequence")
    shape = tuple(int.from_bytes(content[3 + 2 * i : 5 + 2 * i], "big") for i in range(3))
    if shape[0] > MAX_FRAMES:
        raise ImageTooLarge(f"{shape[0]} frames, the limit is {MAX_FRAMES}")
    return ArrayFrames(np.frombuffer(content[9:], np.uint8).reshape(*shape, 3))


open_raw = SequenceReader(lambda files, options: sum(map(len, files)), _open_raw)


def read_labels(content: bytes, shape: tuple[int, ...]) -> npt.NDArray[np.uint16]:
    """Return the labels of a label map, shape (F, H, W)."""
    image = nibabel.Nifti1Image.from_bytes(gzip.decompress(content))
    labels = np.asarray(image.dataobj).transpose(2, 1, 0)
    assert labels.shape == shape
    return labels


def encode_frames(pixels: npt.NDArray[np.uint8]) -> bytes:
    head = b"".join(side.to_bytes(2, "big") for side in pixels.shape[:3])
    return b"SEQ" + head + pixels.tobytes()


def moving_square(count: int, *, side: int = 24, step: int = 1) -> npt.NDArray[np.uint8]:
    """Black frames with a bright square of 8 x 8 that moves `step` pixels a frame."""
    pixels = np.zeros((count, side, side, 3), dtype=np.uint8)
    for index in range(count):
        left = 2 + (index * step) % (side - 10)
        pixels[index, 8:16, left : left + 8] = 255
    return pixels
