"""One encoded frame of a DICOM file to its stored values and their colours.

Which library decodes what is named here, so that an installed extra cannot change pixels.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from pydicom import uid
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, get_frame
from pydicom.pixels.decoders.base import get_decoder

from segmenter.errors import BrokenImage
from segmenter.formats.dicom.encoded.codestream import RGB, Stream, bare_codestream, check_frame
from segmenter.formats.dicom.encoded.gdcm_process import decode_isolated
from segmenter.formats.dicom.layout import Layout
from segmenter.formats.grey_levels import Stored
from segmenter.formats.raster.jpeg_samples import jpeg_samples

GDCM, PILLOW, OPENJPEG, RUN_LENGTHS = "gdcm", "pillow", "pylibjpeg", "pydicom"
DECODERS: Mapping[uid.UID, str] = {
    uid.RLELossless: RUN_LENGTHS,
    uid.JPEGBaseline8Bit: PILLOW,
    uid.JPEGExtended12Bit: GDCM,
    uid.JPEGLossless: GDCM,
    uid.JPEGLosslessSV1: GDCM,
    uid.JPEGLSLossless: GDCM,
    uid.JPEGLSNearLossless: GDCM,
    uid.JPEG2000Lossless: OPENJPEG,
    uid.JPEG2000: OPENJPEG,
    uid.HTJ2KLossless: OPENJPEG,
    uid.HTJ2KLosslessRPCL: OPENJPEG,
    uid.HTJ2K: OPENJPEG,
}
_LOSSLESS_COLOUR = ("YBR_RCT", "YBR_ICT")


def decode_encoded(header: Dataset, layout: Layout, index: int) -> tuple[Stored, int, str]:
    """Return a frame's stored values, (H, W) or (H, W, 3), their bits, and their photometric.

    Args:
        header: with pixel data, and the transfer syntax that decodes them.
        layout: of the attributes.
        index: of the frame.

    Raises:
        BrokenImage, ImageTooLarge, UnsupportedImage.
    """
    syntax = header.file_meta.TransferSyntaxUID
    frame = get_frame(header.PixelData, index, number_of_frames=layout.frames)
    stream = check_frame(frame, syntax, layout)
    decoder = DECODERS[stream.syntax]
    if decoder == GDCM:
        values = decode_isolated(frame, stream)
    elif decoder == PILLOW:
        values = jpeg_samples(frame)
    else:
        values = _by_pydicom(frame, layout, stream)
    if values.shape[:2] != (layout.rows, layout.columns):
        raise BrokenImage("the decoded frame has another size than the attributes say")
    bits = stream.bits or layout.bits_allocated
    return values, bits, _photometric(stream, layout)


def _by_pydicom(frame: bytes, layout: Layout, stream: Stream) -> Stored:
    """Decode JPEG 2000 or run lengths; the attributes' own bits and signs are applied later."""
    syntax = stream.syntax
    # Instead of attributes. Any: pydicom's signature names the type of the whole mapping.
    said: dict[str, Any] = {
        "rows": layout.rows,
        "columns": layout.columns,
        "samples_per_pixel": layout.samples,
        "number_of_frames": 1,
        "bits_allocated": layout.bits_allocated,
        "bits_stored": stream.bits or layout.bits_allocated,
        "pixel_representation": int(stream.signed),
        "photometric_interpretation": RGB if layout.samples > 1 else "MONOCHROME2",
        "planar_configuration": 0,
        "pixel_keyword": "PixelData",
    }
    # Without JP2 boxes, in which pydicom 3.0.2 loops for ever where a length is 0.
    one = encapsulate([bare_codestream(frame)], has_bot=False)
    values, _ = get_decoder(syntax).as_array(
        one, index=0, raw=True, decoding_plugin=DECODERS[syntax], **said
    )
    decoded: Stored = values
    if stream.bits > layout.bits_stored and layout.shift == 0 and not stream.signed:
        most = int(np.max(decoded, initial=0))
        if most >> layout.bits_stored and not layout.signed:
            raise BrokenImage(
                f"the encoded frame holds values of {most.bit_length()} bits where BitsStored is "
                f"{layout.bits_stored}"
            )
    return decoded


def _photometric(stream: Stream, layout: Layout) -> str:
    """Return the photometric that decoded values are in: the stream's word goes first."""
    tag = layout.photometric
    if layout.samples == 1:
        return tag
    if stream.colour is not None:
        return stream.colour
    if tag in _LOSSLESS_COLOUR:
        return RGB
    return "YBR_FULL" if tag.startswith("YBR") else tag
