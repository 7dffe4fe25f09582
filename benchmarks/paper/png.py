"""Writes grey PNGs of 1, 8 and 16 bits; Pillow's owner writes no other than 8 bits."""

import struct
import zlib

import numpy as np
import numpy.typing as npt

from segmenter.contract import BinaryMask

_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def encode_mask(mask: BinaryMask) -> bytes:
    """Encode a mask as 1-bit PNG, white inside.

    Args:
        mask: bool, shape (H, W).
    """
    return _encode(np.packbits(mask, axis=1), width=mask.shape[1], bits=1)


def encode_grey(pixels: npt.NDArray[np.uint8]) -> bytes:
    """Encode a grey picture, uint8, shape (H, W), as 8-bit PNG."""
    return _encode(pixels, width=pixels.shape[1], bits=8)


def encode_labels(labels: npt.NDArray[np.uint16]) -> bytes:
    """Encode instance numbers, uint16, shape (H, W), 0 for none, as 16-bit PNG."""
    samples = labels.astype(">u2")
    return _encode(samples.view(np.uint8), width=labels.shape[1], bits=16)


def _encode(lines: npt.NDArray[np.uint8], *, width: int, bits: int) -> bytes:
    """Pack lines of samples. Source: PNG specification, 3rd edition, sections 5 and 11."""
    unfiltered = np.zeros((len(lines), 1), dtype=np.uint8)
    body = np.concatenate([unfiltered, lines], axis=1).tobytes()
    header = struct.pack(">IIBBBBB", width, len(lines), bits, 0, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(body)), (b"IEND", b""))
    return _SIGNATURE + b"".join(_chunk(kind, content) for kind, content in chunks)


def _chunk(kind: bytes, content: bytes) -> bytes:
    checksum = zlib.crc32(kind + content)
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)
