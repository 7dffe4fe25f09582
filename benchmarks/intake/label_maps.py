"""Label maps: where other programs put them, beside the volume that they are of."""

import gzip
import tempfile
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import numpy.typing as npt
import SimpleITK as sitk  # noqa: N813  # its own documentation calls it so

from benchmarks.intake.contract import MM_TOLERANCE, LabelMap, Outcome
from segmenter.errors import InputError
from segmenter.formats.decoded import Window
from segmenter.formats.frames import ReadOptions
from segmenter.formats.limits import Limits
from segmenter.formats.sequences import open_frames
from segmenter.formats.volumes.labels import write_labels

TRUTH = "nibabel and SimpleITK, of the volume"
# Values of the volume go up to 1,000: what is shown above the middle is an object.
WINDOW = Window(300.0, 600.0)
MIDDLE = 127


def check_label_map(given: LabelMap) -> Outcome:
    """Compare a label map with its volume in both readers; see `benchmarks.intake.check.check`."""
    content = given.build()
    try:
        frames = open_frames([content], Limits(), ReadOptions(window=WINDOW))
    except InputError as error:
        return Outcome(given.name, given.kind, str(error), TRUTH, "", "refused with words")
    shown = np.stack([frames.frame(index)[..., 0] for index in range(frames.count)])
    labels = write_labels((shown > MIDDLE).astype(np.uint16), frames)
    wrong, millimetres = _in_nibabel(content, labels)
    millimetres = max(millimetres, _in_itk(content, labels))
    codes = _header(labels)
    ours = f"qform code {int(codes['qform_code'])}, sform code {int(codes['sform_code'])}"
    same = all(codes[name] == _header(content)[name] for name in ("qform_code", "sform_code"))
    said = f"{millimetres:.3f} mm, {wrong} voxels" + ("" if same else ", other codes")
    good = millimetres <= MM_TOLERANCE and wrong == 0 and same
    return Outcome(given.name, given.kind, ours, TRUTH, said, "right" if good else "wrong")


def _image(content: bytes) -> Any:
    raw = gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content
    return nibabel.Nifti1Image.from_bytes(raw)


def _header(content: bytes) -> Any:
    return _image(content).header


def _in_nibabel(volume: bytes, labels: bytes) -> tuple[int, float]:
    """Return voxels that are labelled otherwise than their value says, and how far both lie."""
    one, other = _image(volume), _image(labels)
    low = WINDOW.center - WINDOW.width / 2
    grey = np.rint(np.clip((one.get_fdata() - low) / WINDOW.width, 0, 1) * 255)
    wrong = int(((grey > MIDDLE) != (other.get_fdata() > 0)).sum())
    return wrong, _apart(one.affine, other.affine, one.shape)


def _apart(one: npt.NDArray[Any], other: npt.NDArray[Any], shape: tuple[int, ...]) -> float:
    """Return the largest distance of a corner under two affines."""
    sides = [(0, side - 1) for side in shape[:3]]
    corners = np.array(np.meshgrid(*sides)).reshape(3, -1)
    corners = np.vstack([corners, np.ones(corners.shape[1])])
    return float(np.linalg.norm(((one - other) @ corners)[:3], axis=0).max())


def _in_itk(volume: bytes, labels: bytes) -> float:
    """Return how far both lie for ITK; 0 where it reads neither."""
    grids = [_itk_affine(content) for content in (volume, labels)]
    if grids[0] is None or grids[1] is None:
        return 0.0 if grids[0] is grids[1] else float("inf")
    return _apart(grids[0][0], grids[1][0], grids[0][1])


def _itk_affine(content: bytes) -> tuple[npt.NDArray[Any], tuple[int, ...]] | None:
    raw = gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "volume.nii"
        path.write_bytes(raw)
        try:
            image: Any = sitk.ReadImage(str(path))
        except RuntimeError:
            return None
    affine = np.eye(4)
    affine[:3, :3] = np.array(image.GetDirection()).reshape(3, 3) * np.array(image.GetSpacing())
    affine[:3, 3] = image.GetOrigin()
    return affine, image.GetSize()
