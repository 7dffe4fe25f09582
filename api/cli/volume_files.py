"""The files that ``medsam3 segment`` writes for a sequence."""

from pathlib import Path

from api.cli.output import to_json, write_files
from api.schemas.volume_answers import FramesAnswer, VolumeAnswer


def write_volume(
    folder: Path, answer: VolumeAnswer, frames: FramesAnswer, label_map: bytes, overview: bytes
) -> None:
    """Write ``result.json``, ``frames.json``, ``labels.nii.gz`` and ``overview.png``.

    Raises:
        UsageFault: the folder cannot be written to.
    """
    contents = {
        "result.json": to_json(answer),
        "frames.json": to_json(frames, indent=1),
        "labels.nii.gz": label_map,
        "overview.png": overview,
    }
    write_files(folder, contents)
