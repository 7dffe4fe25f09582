"""All sequence formats, as volume jobs use them: joins reader, writer and limits."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from segmenter.formats.decoded import Window
from segmenter.formats.frames import Frames
from segmenter.formats.label_map import write_label_map
from segmenter.formats.limits import Limits
from segmenter.formats.sequences import open_frames
from segmenter.settings import VolumeSettings


@dataclass(frozen=True)
class AllFormats:
    """`segmenter.formats.frames.SequenceFormats` under these limits."""

    limits: Limits

    def open(self, files: Sequence[bytes], *, window: Window | None, preset: str | None) -> Frames:
        """See `segmenter.formats.frames.SequenceFormats`."""
        return open_frames(files, self.limits, window=window, preset=preset)

    def write_label_map(self, labels: npt.NDArray[np.uint16], frames: Frames) -> bytes:
        """See `segmenter.formats.frames.SequenceFormats`."""
        return write_label_map(labels, frames)


def all_formats(settings: VolumeSettings) -> AllFormats:
    """Return all formats under the bounds of volume jobs."""
    return AllFormats(Limits(max_bytes=settings.max_bytes))
