"""JPEG 2000, JPEG-LS, JPEG XL, HEIC and AVIF files, and JPEG that Pillow does not read, to pixels.

HEIC and AVIF are turned by their decoders; colour of more than 8 bits comes from them as 8.
"""

from functools import partial
from typing import NamedTuple

import numpy as np

from segmenter.contract import PixelValues
from segmenter.errors import UnsupportedImage
from segmenter.formats.decoded import DecodedImage, Undecoded, Window, join_rules
from segmenter.formats.grey_levels import STRIPS_BYTES
from segmenter.formats.limits import Limits, check_frames, check_size
from segmenter.formats.raster.codestreams.header import StreamHeader, read_stream_header
from segmenter.formats.raster.codestreams.process import DecodedStream, decode_stream
from segmenter.formats.raster.profile import profile_rule
from segmenter.formats.raster.samples import (
    YCBCR_FORMULA,
    Kind,
    Meaning,
    choose_look,
    show,
    turn_rule,
    upright,
)
from segmenter.formats.sniff import StreamFormat

FIRST = "first picture"
TURNED = "turned as the file says"
# Python and the codecs, before they decode anything. Measured.
CHILD_BYTES = 45 * 2**20
# Of a sample within a decoder, beside what it gives: whole numbers of 4 bytes (JPEG 2000), a frame
# of its own (AVIF, HEIC), or the same once more (JPEG). Measured, the largest rounded up.
DECODER_BYTES = {"jpeg2000": 6, "avif": 6, "heic": 3, "jpeg-xl": 3, "jpeg-ls": 1, "jpeg": 4}
DECODER_BYTES["jpeg-arithmetic"] = DECODER_BYTES["jpeg"]


# Samples of these lie in the lowest of the bits that they come in.
_JPEG = ("jpeg", "jpeg-arithmetic")
_AS_DECLARED = ("jpeg2000", "jpeg-ls", *_JPEG)
# Their decoders give 8 bits of any.
_AS_8_BITS = ("heic", "avif")
# No decoder here gives more; the formats allow 38 (JPEG 2000) and fewer.
MAX_BITS = 32


class Expected(NamedTuple):
    """What is known before a file is decoded.

    Attributes:
        kind: as the child knows it.
        header: that the file declares.
        orientation: that nobody has applied yet, 1 to 8.
        told: further rules.
    """

    kind: str
    header: StreamHeader
    orientation: int = 1
    told: str | None = None


def read_stream(
    content: bytes, name: StreamFormat, limits: Limits, *, window: Window | None
) -> Undecoded:
    """Read and check the header of a file.

    Raises:
        BrokenImage, ImageTooLarge, UnsupportedImage.
    """
    header = read_stream_header(content, name)
    told = join_rules(
        YCBCR_FORMULA if header.ycbcr else None,
        TURNED if header.turned else None,
        FIRST if header.sequence else None,
        profile_rule(header.profile),
    )
    return expect_stream(content, name, Expected(name, header, told=told), limits, window)


def expect_stream(
    content: bytes, name: str, expected: Expected, limits: Limits, window: Window | None
) -> Undecoded:
    """Check what a file declares, and return how it is decoded.

    Raises:
        BrokenImage, ImageTooLarge, UnsupportedImage.
    """
    size = expected.header.size
    if size.bits > MAX_BITS:
        raise UnsupportedImage(
            f"{size.bits} bits a sample in {name} are not read, at most {MAX_BITS} are: "
            "export it as TIFF"
        )
    check_size(size.width, size.height, limits)
    check_frames(1, size.width * size.height * size.channels, limits)
    decode = partial(_decode, content, name, expected, window)
    is_deep = size.bits > 8 and size.channels == 1
    values = partial(_read_values, content, expected) if is_deep else None
    return Undecoded(working_bytes(expected.header, expected.kind), decode, values)


def working_bytes(header: StreamHeader, kind: str) -> int:
    """Return the memory that decoding takes at its peak, that of the child process too."""
    size = header.size
    deep = kind not in _AS_8_BITS
    itemsize = next(n for n in (1, 2, 4) if size.bits <= 8 * n or not deep)
    # Decoded and laid out there; then gathered and joined here.
    each = size.channels * (DECODER_BYTES[kind] + 3 * itemsize) + 3
    return CHILD_BYTES + size.width * size.height * each + STRIPS_BYTES


def _decode(content: bytes, name: str, expected: Expected, window: Window | None) -> DecodedImage:
    size = expected.header.size
    decoded = decode_stream(content, expected.kind, size.width * size.height)
    meaning = _meaning(decoded, expected)
    samples = decoded.samples
    look = choose_look(lambda: [samples], meaning, samples.dtype, window)
    pixels, rule = show(samples, meaning, look)
    deep = expected.kind in _AS_8_BITS and size.bits > 8 and samples.dtype == np.uint8
    shortened = f"highest 8 of {size.bits} bits" if deep else None
    turned = turn_rule(expected.orientation)
    return DecodedImage(
        np.ascontiguousarray(upright(pixels, expected.orientation)),
        name,
        rendering=join_rules(
            rule, shortened, turned, expected.told, FIRST if decoded.several else None
        ),
    )


def _read_values(content: bytes, expected: Expected) -> PixelValues:
    size = expected.header.size
    samples = decode_stream(content, expected.kind, size.width * size.height).samples[:, :, 0]
    return PixelValues(upright(samples, expected.orientation).astype(np.float32), "stored value")


def _meaning(decoded: DecodedStream, expected: Expected) -> Meaning:
    channels = decoded.samples.shape[2]
    alpha = decoded.alpha if expected.header.alpha is None else expected.header.alpha
    if expected.kind in _JPEG and channels == 4:
        kind: Kind = "cmyk"
    else:
        kind = "rgb" if channels >= 3 else "grey"
    most = decoded.samples.dtype.itemsize * 8
    declared = expected.header.size.bits
    bits = declared if declared <= most and expected.kind in _AS_DECLARED else most
    return Meaning(kind, channels, bits, alpha="straight" if alpha else None)
