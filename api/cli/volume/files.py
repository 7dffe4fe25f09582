"""The files that ``medsam3 segment`` writes for a sequence."""

from pathlib import Path

from api.cli.result_files import FRAMES, LABELS, OVERVIEW, RESULT, to_json, write_files
from api.schemas.volume_answers import FramesAnswer, VolumeAnswer


def write_volume(
    folder: Path, answer: VolumeAnswer, frames: FramesAnswer, label_map: bytes, overview: bytes
) -> None:
    """Write ``result.json``, ``frames.json``, ``labels.nii.gz`` and ``overview.png``.

    Raises:
        UsageFault: the folder cannot be written to.
    """
    contents = {
        RESULT: to_json(answer),
        FRAMES: to_json(frames, indent=1),
        LABELS: label_map,
        OVERVIEW: overview,
    }
    write_files(folder, contents)
