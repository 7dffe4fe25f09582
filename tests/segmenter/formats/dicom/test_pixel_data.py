"""What pixel data are by themselves, where the file says something else."""

import re
from collections.abc import Callable
from io import BytesIO

import imagecodecs
import numpy as np
import pytest
from PIL import Image
from pydicom import uid
from pydicom.encaps import encapsulate

from benchmarks.intake.files import colours, dataset, framed, plain, renamed, saved, set_pixels
from benchmarks.intake.inputs.encoded import bare, j2k, jpeg, with_adobe, with_ids
from segmenter.errors import BrokenImage, UnsupportedImage
from segmenter.formats.dicom.image import decode_dicom

RGB = colours()
AS_FILE = np.asarray(Image.open(BytesIO(jpeg())).convert("RGB")).astype(int)


def holding(value: bytes, *, syntax: str = uid.ExplicitVRLittleEndian) -> bytes:
    """A file whose pixel data are other bytes than its attributes say."""
    made = dataset(RGB)
    made.file_meta.TransferSyntaxUID = uid.UID(syntax)
    set_pixels(made, value)
    return saved(made)


def undefined() -> bytes:
    content = framed(jpeg(), uid.JPEGBaseline8Bit, RGB)
    return renamed(content, uid.JPEGBaseline8Bit, uid.ExplicitVRLittleEndian)


@pytest.mark.parametrize(
    "build",
    [
        lambda: holding(jpeg()),
        lambda: holding(jpeg(), syntax=uid.ImplicitVRLittleEndian),
        lambda: holding(encapsulate([jpeg()])),
        undefined,
    ],
    ids=["the file itself", "implicit", "items of a defined length", "items"],
)
def test_a_jpeg_called_uncompressed_is_decoded_and_named(build: Callable[[], bytes]) -> None:
    decoded = decode_dicom(build())
    assert np.abs(decoded.pixels - AS_FILE).max() <= 1
    assert decoded.rendering.startswith("JPEG where the file says uncompressed pixels")


def test_a_jpeg_2000_called_uncompressed_is_decoded_and_named() -> None:
    decoded = decode_dicom(holding(j2k()))
    assert np.array_equal(decoded.pixels, RGB)
    assert decoded.rendering == "JPEG 2000 where the file says uncompressed pixels"


@pytest.mark.parametrize("value", [jpeg()[:300], jpeg()[:-400], b"\xff\xd8\xff" + bytes(50)])
def test_a_damaged_jpeg_called_uncompressed_is_never_shown_as_noise(value: bytes) -> None:
    with pytest.raises(BrokenImage):
        decode_dicom(holding(value))


def test_pixels_that_begin_like_a_jpeg_are_pixels() -> None:
    pixels = RGB.copy()
    pixels[0, 0], pixels[0, 1] = (0xFF, 0xD8, 0xFF), (0xE0, 0, 16)
    decoded = decode_dicom(plain(pixels))
    assert np.array_equal(decoded.pixels, pixels)
    assert decoded.rendering == "identity"


def test_uncompressed_pixels_called_compressed_are_read_and_named() -> None:
    decoded = decode_dicom(renamed(plain(RGB), uid.ExplicitVRLittleEndian, uid.RLELossless))
    assert np.array_equal(decoded.pixels, RGB)
    assert decoded.rendering == "uncompressed pixels where the file says RLE Lossless"


def test_frames_of_one_syntax_under_the_name_of_another_are_read_and_named() -> None:
    decoded = decode_dicom(framed(jpeg(), uid.JPEG2000, RGB))
    assert np.abs(decoded.pixels - AS_FILE).max() <= 1
    assert decoded.rendering.startswith("JPEG where the file says JPEG 2000")


def test_encoded_pixels_that_end_within_a_frame_are_cut_short() -> None:
    content = framed(jpeg(), uid.JPEGBaseline8Bit, RGB)
    with pytest.raises(BrokenImage, match="cut short"):
        decode_dicom(content[:-200])


# The colours that a stream names itself.

YCBCR, RGB_STREAM = bare(jpeg(), 0xE0), bare(jpeg("rgb"), 0xE0, 0xEE)
YBR, BY_STREAM = "YBR to RGB", "colours as the encoded frame itself says"


@pytest.mark.parametrize(
    ("frame", "tag", "rule"),
    [
        (jpeg(), "YBR_FULL_422", YBR),
        (jpeg(), "RGB", f"{YBR}; {BY_STREAM}"),
        (YCBCR, "YBR_FULL", YBR),
        (with_adobe(YCBCR, 1), "YBR_FULL_422", YBR),
        (with_adobe(YCBCR, 1), "RGB", f"{YBR}; {BY_STREAM}"),
        (RGB_STREAM, "RGB", "identity"),
        (RGB_STREAM, "YBR_FULL_422", BY_STREAM),
        (with_ids(RGB_STREAM, b"\1\2\3"), "RGB", "identity"),
        (with_adobe(with_ids(RGB_STREAM, b"\1\2\3"), 0), "YBR_FULL", BY_STREAM),
        (bare(jpeg(subsampling=2), 0xE0), "RGB", f"{YBR}; {BY_STREAM}"),
    ],
)
def test_a_jpeg_has_the_colours_that_it_says_itself_else_those_of_the_tag(
    frame: bytes, tag: str, rule: str
) -> None:
    decoded = decode_dicom(framed(frame, uid.JPEGBaseline8Bit, RGB, PhotometricInterpretation=tag))
    assert np.abs(decoded.pixels.astype(int) - RGB).mean() < 2
    assert decoded.rendering == rule


@pytest.mark.parametrize("tag", ["RGB", "YBR_FULL", "YBR_FULL_422", "YBR_RCT", "YBR_ICT"])
def test_a_jpeg_2000_that_undoes_its_own_transform_is_rgb_under_any_tag(tag: str) -> None:
    content = framed(j2k(), uid.JPEG2000Lossless, RGB, PhotometricInterpretation=tag)
    assert np.array_equal(decode_dicom(content).pixels, RGB)


def test_a_jpeg_2000_without_a_transform_has_the_colours_of_its_tag() -> None:
    content = framed(
        j2k("ybr", mct=False), uid.JPEG2000Lossless, RGB, PhotometricInterpretation="YBR_FULL"
    )
    decoded = decode_dicom(content)
    assert np.abs(decoded.pixels.astype(int) - RGB).max() <= 3
    assert decoded.rendering == YBR


@pytest.mark.parametrize("syntax", [uid.HTJ2K, uid.HTJ2KLossless, uid.HTJ2KLosslessRPCL])
def test_high_throughput_jpeg_2000_is_read(syntax: str) -> None:
    for samples in (RGB, RGB[..., 0]):
        frame = bytes(imagecodecs.htj2k_encode(samples))
        pixels = decode_dicom(framed(frame, syntax, samples)).pixels
        assert np.array_equal(pixels, RGB if samples.ndim == 3 else samples[..., None].repeat(3, 2))


def test_jp2_boxes_without_a_length_are_passed_over() -> None:
    boxes = b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(4) + b"xxxx"
    decoded = decode_dicom(framed(boxes + j2k(), uid.JPEG2000Lossless, RGB))
    assert np.array_equal(decoded.pixels, RGB)


def test_a_jpeg_2000_of_components_of_different_sizes_is_refused() -> None:
    frame = bytearray(j2k())
    # Samples of the second component are two pixels wide.
    frame[frame.index(b"\xff\x51") + 44] = 2
    with pytest.raises(UnsupportedImage, match="sampled differently"):
        decode_dicom(framed(bytes(frame), uid.JPEG2000Lossless, RGB))


def test_a_damaged_value_is_broken_and_not_repeated() -> None:
    content = plain(RGB[..., 0], WindowCenter="1", WindowWidth="1", PixelPaddingValue=7)
    at = content.index(b"\x28\x00\x00\x01US\x02\x00")
    # Bits Allocated becomes three bytes long, of which the last is a patient's.
    damaged = content[: at + 6] + b"\x03\x00\x08\x00J" + content[at + 10 :]
    with pytest.raises(BrokenImage) as caught:
        decode_dicom(damaged)
    assert "J" not in str(caught.value).replace("JPEG", "")


@pytest.mark.parametrize("fragments", [1, 2, 3, 7])
@pytest.mark.parametrize("table", [False, True], ids=["without offsets", "with offsets"])
def test_a_frame_in_many_fragments_is_read(fragments: int, table: bool) -> None:
    made = dataset(np.stack([RGB, RGB]), NumberOfFrames=2, PhotometricInterpretation="YBR_FULL_422")
    made.file_meta.TransferSyntaxUID = uid.JPEGBaseline8Bit
    frames = [jpeg(), jpeg(quality=90)]
    made.PixelData = encapsulate(frames, fragments_per_frame=fragments, has_bot=table)
    made["PixelData"].VR = "OB"
    made["PixelData"].is_undefined_length = True
    decoded = decode_dicom(saved(made))
    assert np.abs(decoded.pixels - AS_FILE).max() <= 1


def test_a_transfer_syntax_of_later_years_is_refused_by_its_number() -> None:
    jpeg_xl = "1.2.840.10008.1.2.4.110"
    video = framed(jpeg(), uid.MPEG2MPML, RGB)
    with pytest.raises(UnsupportedImage, match=re.escape(jpeg_xl)):
        decode_dicom(video.replace(uid.MPEG2MPML.encode(), jpeg_xl.encode()))
