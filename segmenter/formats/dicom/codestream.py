"""Checks an encoded frame of a DICOM file against its attributes, before any decoder runs.

A decoder allocates what the inner stream says; the attributes alone do not bound it.
"""

import struct
from itertools import pairwise

from pydicom.dataset import Dataset
from pydicom.encaps import get_frame
from pydicom.uid import JPEG2000TransferSyntaxes, RLELossless

from segmenter.errors import BrokenImage
from segmenter.formats.dicom.layout import Layout
from segmenter.formats.raster.jpeg_header import count_scans, read_jpeg_header

_SIZ = b"\xff\x4f\xff\x51"
# Plain codestreams begin with it; some writers wrap them in JP2 boxes, which are short.
_SIZ_WITHIN = 4_096
# Encoders may pad a segment by a byte; whole runs beyond the picture are no picture.
_RLE_SLACK = 256
_RLE_HEADER = 64


def check_frame(header: Dataset, layout: Layout, index: int = 0) -> None:
    """Compare a frame's own header with rows, columns, samples and bits.

    Raises:
        BrokenImage: the stream and the attributes disagree.
        ImageTooLarge: more scans than any real image.
    """
    frame = get_frame(header.PixelData, index, number_of_frames=layout.frames)
    syntax = header.file_meta.TransferSyntaxUID
    if syntax == RLELossless:
        _check_rle(frame, layout)
    elif syntax in JPEG2000TransferSyntaxes:
        _check_agreement(_j2k_size(frame), layout)
    else:
        jpeg = read_jpeg_header(frame)
        count_scans(frame)
        _check_agreement((jpeg.width, jpeg.height, jpeg.components, jpeg.bits), layout)


def _check_agreement(stream: tuple[int, int, int, int], layout: Layout) -> None:
    width, height, samples, bits = stream
    declared = (layout.columns, layout.rows, layout.samples)
    if (width, height, samples) != declared or bits > layout.bits_allocated:
        raise BrokenImage(
            f"the encoded frame is {width} x {height} x {samples} at {bits} bits, the attributes "
            f"say {layout.columns} x {layout.rows} x {layout.samples} at {layout.bits_allocated}"
        )


def _j2k_size(frame: bytes) -> tuple[int, int, int, int]:
    """Return width, height, components, bits. Source: ISO/IEC 15444-1, A.5.1."""
    start = frame.find(_SIZ, 0, _SIZ_WITHIN)
    if start < 0:
        raise BrokenImage("a JPEG 2000 frame without its size marker")
    right, bottom, left, top = struct.unpack_from(">4I", frame, start + 8)
    components, depth = struct.unpack_from(">HB", frame, start + 40)
    return right - left, bottom - top, components, (depth & 0x7F) + 1


def _check_rle(frame: bytes, layout: Layout) -> None:
    """Bound what every segment unpacks to. Source: PS3.5, annex G."""
    count, *offsets = struct.unpack_from("<16I", frame)
    expected = layout.samples * layout.bits_allocated // 8
    if count != expected:
        raise BrokenImage(f"{count} run-length segments where {expected} are due")
    plane = layout.rows * layout.columns
    bounds = [*offsets[:count], len(frame)]
    for start, end in pairwise(bounds):
        if not _RLE_HEADER <= start <= end <= len(frame):
            raise BrokenImage("a run-length segment lies outside its frame")
        if end - start > 2 * plane + _RLE_SLACK or not _unpacks_to(frame, start, end, plane):
            raise BrokenImage("a run-length segment does not unpack to one plane")


def _unpacks_to(frame: bytes, start: int, end: int, plane: int) -> bool:
    """Tell whether PackBits in frame[start:end] gives a plane, allowing for padding."""
    position, unpacked = start, 0
    while position < end and unpacked <= plane + _RLE_SLACK:
        control = frame[position]
        if control < 128:
            unpacked += control + 1
            position += control + 2
        else:
            unpacked += 257 - control if control > 128 else 0
            position += 2 if control > 128 else 1
    return plane <= unpacked <= plane + _RLE_SLACK
