"""JPEG 2000, JPEG-LS, JPEG XL, HEIC, AVIF, and the JPEG that Pillow does not read."""

import base64
from functools import cache
from io import BytesIO
from typing import Any

import imagecodecs
import numpy as np
import numpy.typing as npt
import pillow_heif
import pytest
from PIL import Image

from segmenter.errors import BrokenImage, ImageTooLarge, InputError, UnsupportedImage
from segmenter.formats.decode import decode, read_header
from segmenter.formats.decoded import Window
from segmenter.formats.isolated.process import run_isolated
from segmenter.formats.limits import Limits
from segmenter.formats.raster.codestreams import process
from tests.segmenter.formats.build import picture, save

Pixels = npt.NDArray[Any]
COLOURS = picture(64, 128)
DOWN, RIGHT = np.mgrid[0:64, 0:128]
GREY = RIGHT.astype(np.uint8)
DEEP = (RIGHT * 30).astype(np.uint16)
ALL_OF_IT = Window(127 * 15, 127 * 30)
SPREAD = np.rint(RIGHT / 127 * 255)
SHADED = (COLOURS.astype(int) * 128 + 127) // 255
WITH_ALPHA = np.dstack([COLOURS, np.full(GREY.shape, 128, np.uint8)])


def heic(pixels: Pixels, orientation: int | None = None, **options: Any) -> bytes:
    file = pillow_heif.from_pillow(Image.fromarray(pixels))
    if orientation is not None:
        exif = Image.Exif()
        exif[274] = orientation
        file[0].info["exif"] = exif.tobytes()
    stream = BytesIO()
    file.save(stream, **{"quality": 95} | options)
    return stream.getvalue()


def encode(codec: str, samples: Pixels, **options: Any) -> bytes:
    return bytes(getattr(imagecodecs, f"{codec}_encode")(samples, **options))


def jp2(samples: Pixels, **options: Any) -> bytes:
    return encode("jpeg2k", samples, level=0, **options)


LOSSLESS: dict[str, Any] = {
    "jpeg2000 colour": ("jpeg2000", jp2(COLOURS), COLOURS),
    "jpeg2000 codestream": ("jpeg2000", jp2(COLOURS, codecformat="J2K"), COLOURS),
    "jpeg2000 grey": ("jpeg2000", jp2(GREY), GREY),
    "jpeg2000 alpha": ("jpeg2000", save(Image.fromarray(WITH_ALPHA), "JPEG2000"), SHADED),
    "jpeg2000 deep colour": ("jpeg2000", jp2(COLOURS.astype(np.uint16) * 257), COLOURS),
    "jpeg-ls colour": ("jpeg-ls", encode("jpegls", COLOURS), COLOURS),
    "jpeg-ls grey": ("jpeg-ls", encode("jpegls", GREY), GREY),
    "jpeg-xl colour": ("jpeg-xl", encode("jpegxl", COLOURS, lossless=True), COLOURS),
    "jpeg-xl container": (
        "jpeg-xl",
        encode("jpegxl", COLOURS, lossless=True, usecontainer=True),
        COLOURS,
    ),
    "jpeg-xl alpha": ("jpeg-xl", encode("jpegxl", WITH_ALPHA, lossless=True), SHADED),
    "jpeg lossless": ("jpeg", encode("jpeg8", COLOURS, lossless=True), COLOURS),
    "avif": ("avif", encode("avif", COLOURS, level=100), COLOURS),
}


@pytest.mark.parametrize("kind", LOSSLESS)
def test_a_lossless_file_comes_back_as_it_was(kind: str) -> None:
    name, content, expected = LOSSLESS[kind]
    decoded = decode(content)
    grey = np.repeat(expected[..., None], 3, axis=2) if expected.ndim == 2 else expected
    assert decoded.format == name
    assert np.array_equal(decoded.pixels, grey)
    rules = {"alpha": "alpha over black", "deep": "high byte of 16-bit samples"}
    rule = next((rules[word] for word in rules if word in kind), "identity")
    assert decoded.rendering == rule


@pytest.mark.parametrize(
    "content",
    [
        jp2(DEEP),
        jp2(DEEP, codecformat="J2K"),
        jp2(DEEP, bitspersample=12),
        encode("jpegls", DEEP),
        encode("jpegxl", DEEP, lossless=True),
        encode("ljpeg", DEEP, bitspersample=12),
        encode("jpeg8", DEEP, lossless=True),
        encode("jpeg8", DEEP, level=100, bitspersample=12),
    ],
    ids=["JP2", "J2K", "12 bits", "JPEG-LS", "JPEG XL", "LJ92", "lossless JPEG", "12-bit JPEG"],
)
def test_deep_grey_is_windowed_as_everywhere(content: bytes) -> None:
    decoded = decode(content, window=ALL_OF_IT)
    assert np.abs(decoded.pixels[..., 0].astype(int) - SPREAD).max() <= 1
    assert decoded.rendering == "window as asked"
    assert decode(content).rendering == "window at percentiles 0.5 and 99.5 of non-zero values"


def test_signed_jpeg_2000_is_windowed() -> None:
    decoded = decode(jp2(DEEP.astype(np.int16) - 2000), window=Window(127 * 15 - 2000, 127 * 30))
    assert np.abs(decoded.pixels[..., 0].astype(int) - SPREAD).max() <= 1


def test_colour_of_12_bits_in_a_jpeg_is_shown_and_named() -> None:
    content = encode("jpeg8", COLOURS.astype(np.uint16) << 4, level=100, bitspersample=12)
    decoded = decode(content)
    assert np.abs(decoded.pixels.astype(int) - COLOURS).max() < 12
    assert decoded.rendering == "highest 8 of 12 bits"


# A ramp of 16 x 16 pixels, 8 down + 7 right, made by libjpeg-turbo's cjpeg -arithmetic.
ARITHMETIC = base64.b64decode(
    "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAAEBAQEBAQEBAQEBAQEBAQIBAQEBAQIBAQECAgICAgICAgID"
    "AwQDAwMDAwICAwQDAwQEBAQEAgMFBQQEBQQEBAT/yQALCAAQABABAREA/8wABgAQEAX/2gAIAQEAAD8A"
    "/wD29TeHa/Kx7d/hpUMitTKC0woS1UvwUnZCe1Z/UP8AwO3LGEr/2Q=="
)


def test_an_arithmetic_jpeg_is_read() -> None:
    ramp = np.add.outer(8 * np.arange(16), 7 * np.arange(16))
    assert np.abs(decode(ARITHMETIC).pixels[..., 0].astype(int) - ramp).max() <= 4
    for length in (100, 140, 158):
        with pytest.raises(BrokenImage):
            decode(ARITHMETIC[:length])


def test_ycbcr_in_a_jpeg_2000_file_becomes_rgb() -> None:
    content = save(Image.fromarray(COLOURS).convert("YCbCr"), "JPEG2000")
    decoded = decode(content)
    assert np.abs(decoded.pixels.astype(int) - COLOURS).max() < 5
    assert decoded.rendering == "YCbCr to RGB"


TURNS: dict[int, Any] = {
    1: lambda image: image,
    2: lambda image: image[:, ::-1],
    3: lambda image: image[::-1, ::-1],
    4: lambda image: image[::-1],
    5: lambda image: image.transpose(1, 0, 2),
    6: lambda image: np.rot90(image, -1),
    7: lambda image: image[::-1, ::-1].transpose(1, 0, 2),
    8: lambda image: np.rot90(image, 1),
}


@pytest.mark.parametrize("orientation", TURNS)
def test_a_heic_picture_of_a_phone_is_upright(orientation: int) -> None:
    decoded = decode(heic(COLOURS, orientation))
    expected = TURNS[orientation](COLOURS)
    assert decoded.pixels.shape == expected.shape
    assert np.abs(decoded.pixels.astype(int) - expected).mean() < 5
    assert decoded.format == "heic"
    assert decoded.rendering == ("identity" if orientation == 1 else "turned as the file says")


@pytest.mark.parametrize("kind", ["HEIF", "AVIF"])
def test_of_several_pictures_the_first_is_shown_and_told(kind: str) -> None:
    pillow_heif.register_heif_opener()
    stream = BytesIO()
    others = [Image.fromarray(255 - COLOURS)]
    Image.fromarray(COLOURS).save(stream, kind, save_all=True, append_images=others, quality=95)
    decoded = decode(stream.getvalue())
    assert np.abs(decoded.pixels.astype(int) - COLOURS).mean() < 5
    assert decoded.rendering == "first picture"


def test_a_turned_avif_picture_is_upright() -> None:
    exif = Image.Exif()
    exif[274] = 6
    decoded = decode(save(Image.fromarray(COLOURS), "AVIF", quality=95, exif=exif.tobytes()))
    assert np.abs(decoded.pixels.astype(int) - TURNS[6](COLOURS)).mean() < 5
    assert decoded.rendering == "turned as the file says"


def test_avif_of_10_bits_is_shown_in_8_and_named() -> None:
    content = encode("avif", COLOURS.astype(np.uint16) << 2, level=100, bitspersample=10)
    decoded = decode(content)
    assert np.abs(decoded.pixels.astype(int) - COLOURS).max() <= 1
    assert decoded.rendering == "highest 8 of 10 bits"


def test_of_an_avif_sequence_the_first_picture_is_taken_and_named() -> None:
    content = save(
        Image.fromarray(COLOURS),
        "AVIF",
        save_all=True,
        append_images=[Image.fromarray(255 - COLOURS)],
        quality=95,
    )
    decoded = decode(content)
    assert np.abs(decoded.pixels.astype(int) - COLOURS).mean() < 5
    assert decoded.rendering == "first picture"


@cache
def whole_files() -> dict[str, bytes]:
    return {
        "jpeg2000": jp2(COLOURS),
        "jpeg2000 codestream": jp2(COLOURS, codecformat="J2K"),
        "jpeg-ls": encode("jpegls", COLOURS),
        "jpeg-xl": encode("jpegxl", COLOURS, lossless=True),
        "heic": heic(COLOURS),
        "avif": encode("avif", COLOURS),
        "12-bit jpeg": encode("jpeg8", DEEP, level=100, bitspersample=12),
        "lossless jpeg": encode("jpeg8", DEEP, lossless=True),
    }


@pytest.mark.parametrize("kind", whole_files())
@pytest.mark.parametrize("share", [0.05, 0.4, 0.9])
def test_a_file_that_is_cut_short_is_broken(kind: str, share: float) -> None:
    content = whole_files()[kind]
    with pytest.raises(BrokenImage):
        decode(content[: int(share * len(content))])


@pytest.mark.parametrize("kind", whole_files())
def test_the_pixel_limit_is_checked_before_anything_is_decoded(kind: str) -> None:
    content = whole_files()[kind]
    read_header(content, Limits(max_pixels=64 * 128))
    with pytest.raises(ImageTooLarge, match="128 x 64 pixels"):
        read_header(content, Limits(max_pixels=64 * 128 - 1))


@pytest.mark.parametrize("kind", whole_files())
def test_damage_is_refused_or_gives_a_picture_in_silence(
    kind: str, capfd: pytest.CaptureFixture[str]
) -> None:
    content = whole_files()[kind]
    random = np.random.default_rng(7)
    for _ in range(6):
        damaged = bytearray(content)
        for at in random.integers(0, len(content), 4):
            damaged[at] = random.integers(256)
        try:
            assert decode(bytes(damaged), Limits(max_pixels=1_000_000)).pixels.ndim == 3
        except InputError:
            continue
    assert capfd.readouterr() == ("", "")


def test_more_bits_than_a_decoder_gives_are_refused_by_their_number() -> None:
    content = bytearray(jp2(GREY, codecformat="J2K"))
    # SIZ: depth of the first component, less 1.
    content[content.index(b"\xff\x51") + 40] = 37
    with pytest.raises(UnsupportedImage, match="38 bits a sample in jpeg2000 are not read"):
        read_header(bytes(content))


def test_a_hierarchical_jpeg_is_refused_by_name() -> None:
    content = bytearray(save(Image.fromarray(COLOURS), "JPEG"))
    content[content.index(b"\xff\xc0") + 1] = 0xC5
    with pytest.raises(UnsupportedImage, match="hierarchical JPEG is not read: export it as PNG"):
        decode(bytes(content))


def test_a_child_that_fails_says_nothing() -> None:
    ended = run_isolated(process._CHILD, ("jpeg2000", "00"), b"no picture", process.BOUNDS)
    assert ended.status != 0
    assert ended.output == b""


@pytest.mark.parametrize("fill", [b"", b"\xff\xff"])
def test_a_deep_jpeg_with_fill_bytes_before_its_end_is_whole(fill: bytes) -> None:
    content = encode("jpeg8", DEEP, bitspersample=12)
    padded = content[:-2] + fill + content[-2:]
    assert np.array_equal(decode(padded).pixels, decode(content).pixels)
