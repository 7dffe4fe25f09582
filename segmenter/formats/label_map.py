"""Labels of frames as a NIfTI label map, whatever the frames came from."""

from segmenter.formats.frames import Frames, Labels
from segmenter.formats.nifti import write_labels


def write_label_map(labels: Labels, frames: Frames) -> bytes:
    """Write object numbers as ``.nii.gz`` in the grid of their source.

    Args:
        labels: uint16, shape (F, H, W) of the shown frames; 0 is background.
        frames: that they belong to.

    Returns:
        A NIfTI-1 file, gzipped: of a NIfTI volume its own shape, affine and codes; of DICOM slices
        columns, rows, slices in millimetres of the patient; of a video columns, rows, frames, and
        codes that say that no orientation is known.
    """
    assert labels.shape == (frames.count, frames.height, frames.width)
    return write_labels(labels, frames)
