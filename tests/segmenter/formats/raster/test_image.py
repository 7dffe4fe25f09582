import struct
import time
import zlib
from collections.abc import Callable
from io import BytesIO
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms

from segmenter.errors import BrokenImage, ImageTooLarge, UnsupportedImage
from segmenter.formats.decoded import DecodedImage, Window
from segmenter.formats.limits import Limits
from segmenter.formats.raster.image import (
    decode_mask_png,
    decode_raster,
    encode_mask_png,
    encode_png,
)
from tests.segmenter.formats.build import picture, png_bomb, png_chunk, save, tiff

Sample = Callable[[str], bytes]
PERCENTILES = "window at percentiles 0.5 and 99.5 of non-zero values"


def difference(first: npt.NDArray[Any], second: npt.NDArray[Any]) -> float:
    assert first.shape == second.shape
    return float(np.abs(first.astype(float) - second.astype(float)).mean())


def png(image: Image.Image, **options: Any) -> DecodedImage:
    return decode_raster(save(image, "png", **options), "png")


@pytest.mark.parametrize("name", ["png", "tiff", "bmp"])
def test_a_lossless_picture_comes_back_as_it_was(name: Any) -> None:
    decoded = decode_raster(save(Image.fromarray(picture()), name), name)
    assert np.array_equal(decoded.pixels, picture())
    assert (decoded.format, decoded.rendering) == (name, "identity")
    assert (decoded.modality, decoded.spacing) == (None, None)
    assert decoded.pixels.dtype == np.uint8
    assert decoded.pixels.flags.c_contiguous


@pytest.mark.parametrize("name", ["jpeg", "webp"])
def test_a_lossy_picture_comes_back_nearly_as_it_was(name: Any) -> None:
    decoded = decode_raster(save(Image.fromarray(picture()), name, quality=95), name)
    assert difference(decoded.pixels, picture()) < 4


@pytest.mark.parametrize("mode", ["1", "L", "P"])
def test_fewer_colours_become_rgb(mode: str) -> None:
    image = Image.fromarray(picture()).convert(mode)
    decoded = png(image)
    assert np.array_equal(decoded.pixels, np.asarray(image.convert("RGB")))
    assert decoded.rendering == "identity"


def test_sixteen_bit_grey_is_windowed_and_not_clipped() -> None:
    stored = np.linspace(1, 65_535, 4096).astype(np.uint16).reshape(64, 64)
    decoded = png(Image.fromarray(stored))
    grey = decoded.pixels[:, :, 0]
    assert decoded.rendering == PERCENTILES
    assert grey.flat[0] == 0
    assert grey.flat[-1] == 255
    assert grey.flat[2048] == pytest.approx(128, abs=1)
    assert (np.diff(grey.ravel().astype(int)) >= 0).all()


def test_one_hot_pixel_does_not_blacken_sixteen_bits() -> None:
    stored = (np.arange(4096, dtype=np.uint16) % 1000 + 1).reshape(64, 64)
    stored[3, 3] = 65_535
    assert png(Image.fromarray(stored)).pixels.mean() > 100


def test_a_black_background_does_not_set_the_window() -> None:
    stored = np.zeros((64, 64), np.uint16)
    stored[16:48, 16:48] = np.linspace(1000, 1200, 1024).reshape(32, 32)
    decoded = png(Image.fromarray(stored))
    assert decoded.pixels[16, 18, 0] < 10
    assert decoded.pixels[47, 45, 0] > 245


@pytest.mark.parametrize(
    ("stored", "shown"), [([[0, 500]], [0, 255]), ([[7, 7]], [0, 0]), ([[0, 0]], [0, 0])]
)
def test_two_values_or_one_are_shown_by_their_full_range(
    stored: list[list[int]], shown: list[int]
) -> None:
    decoded = png(Image.fromarray(np.array(stored, np.uint16)))
    assert decoded.pixels[0, :, 0].tolist() == shown
    assert decoded.rendering == "full range"


def test_the_caller_may_set_the_window_of_sixteen_bits() -> None:
    stored = np.array([[0, 900, 1000, 1100, 2000]], np.uint16)
    content = save(Image.fromarray(stored), "png")
    decoded = decode_raster(content, "png", window=Window(1000, 200))
    assert decoded.pixels[0, :, 0].tolist() == [0, 0, 128, 255, 255]
    assert decoded.rendering == "window as asked"


def test_float_tiffs_are_windowed_and_what_is_no_number_is_black() -> None:
    stored = np.linspace(-1.0, 1.0, 4096, dtype=np.float32).reshape(64, 64)
    stored[0, 0], stored[0, 1] = np.nan, np.inf
    decoded = decode_raster(save(Image.fromarray(stored), "tiff"), "tiff")
    assert decoded.pixels[0, 0].tolist() == [0, 0, 0]
    assert decoded.pixels[0, 1].tolist() == [255, 255, 255]
    assert decoded.pixels[32, 0, 0] == pytest.approx(128, abs=1)
    assert decoded.rendering == PERCENTILES


def test_a_float_tiff_without_any_number_is_broken() -> None:
    stored = np.full((4, 4), np.nan, np.float32)
    with pytest.raises(BrokenImage, match="finite"):
        decode_raster(save(Image.fromarray(stored), "tiff"), "tiff")


def test_deep_grey_with_white_as_zero_is_turned() -> None:
    image = Image.fromarray(np.array([[0, 500]], np.uint16))
    decoded = decode_raster(save(image, "tiff", tiffinfo={262: 0}), "tiff")
    assert decoded.pixels[0, :, 0].tolist() == [255, 0]
    assert decoded.rendering == "full range; inverted (white is zero)"


def test_deep_colour_keeps_its_high_byte_and_says_so() -> None:
    rows = b"\x00" + struct.pack(">3H", 0xFF12, 0x8034, 0x0156)
    header = struct.pack(">IIBBBBB", 1, 1, 16, 2, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    content = b"\x89PNG\r\n\x1a\n" + b"".join(png_chunk(*chunk) for chunk in chunks)
    decoded = decode_raster(content, "png")
    assert decoded.pixels[0, 0].tolist() == [0xFF, 0x80, 0x01]
    assert decoded.rendering == "high byte of 16-bit samples"


def with_chunk(content: bytes, kind: bytes, body: bytes) -> bytes:
    """Put a chunk behind the header of a PNG."""
    return content[:33] + png_chunk(kind, body) + content[33:]


def gamma(content: bytes, value: float) -> bytes:
    return with_chunk(content, b"gAMA", struct.pack(">I", round(value * 100_000)))


def powered(pixels: npt.NDArray[Any], exponent: float) -> npt.NDArray[Any]:
    return np.rint(255 * (pixels / 255) ** exponent)


@pytest.mark.parametrize("value", [1.0, 0.6, 0.25])
@pytest.mark.parametrize("mode", ["RGB", "L", "P"])
def test_the_gamma_of_a_png_is_applied_as_browsers_do(value: float, mode: str) -> None:
    image = Image.fromarray(picture()).convert(mode)
    decoded = decode_raster(gamma(save(image, "png"), value), "png")
    expected = powered(np.asarray(image.convert("RGB")), 1 / (2.2 * value))
    assert np.array_equal(decoded.pixels, expected)
    assert decoded.rendering == f"gamma {value:g} of the file applied"


@pytest.mark.parametrize("value", [1 / 2.2, 0.45455, 0.47])
def test_the_gamma_of_displays_changes_nothing(value: float) -> None:
    decoded = decode_raster(gamma(save(Image.fromarray(picture()), "png"), value), "png")
    assert np.array_equal(decoded.pixels, picture())
    assert decoded.rendering == "identity"


def test_srgb_overrules_gamma() -> None:
    content = gamma(with_chunk(save(Image.fromarray(picture()), "png"), b"sRGB", b"\0"), 1.0)
    assert np.array_equal(decode_raster(content, "png").pixels, picture())


def test_gamma_is_not_applied_to_what_is_windowed_and_that_is_told() -> None:
    content = gamma(save(Image.fromarray(np.array([[0, 250, 500]], np.uint16)), "png"), 1.0)
    decoded = decode_raster(content, "png", window=Window(250, 500))
    assert decoded.pixels[0, :, 0].tolist() == [0, 128, 255]
    assert decoded.rendering == "window as asked; gamma of the file not applied"


@pytest.mark.parametrize("name", ["png", "jpeg", "webp", "tiff"])
def test_a_colour_profile_is_told_unless_displays_expect_it(name: Any) -> None:
    image = Image.fromarray(picture())
    usual = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    other = usual.replace(b"s\0R\0G\0B", b"a\0d\0o\0b").replace(b"sRGB", b"adob")
    options = {"lossless": True} if name == "webp" else {}
    for profile, rule in ((usual, "identity"), (other, "colour profile not applied")):
        content = save(image, name, icc_profile=profile, **options)
        assert decode_raster(content, name).rendering == rule


def test_opaque_alpha_changes_nothing() -> None:
    decoded = png(Image.fromarray(picture()).convert("RGBA"))
    assert np.array_equal(decoded.pixels, picture())
    assert decoded.rendering == "identity"


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_alpha_is_composited_over_black(mode: str) -> None:
    colour = [200] * (len(mode) - 1)
    image = Image.new(mode, (3, 1))
    for column, alpha in enumerate((0, 128, 255)):
        image.putpixel((column, 0), (*colour, alpha))
    decoded = png(image)
    assert decoded.pixels[0, :, 0].tolist() == [0, 100, 200]
    assert decoded.rendering == "alpha over black"


def test_a_transparent_palette_colour_is_black() -> None:
    image = Image.fromarray(np.array([[0, 1]], np.uint8)).convert("P")
    image.putpalette([10, 20, 30, 40, 50, 60])
    decoded = png(image, transparency=1)
    assert decoded.pixels[0].tolist() == [[10, 20, 30], [0, 0, 0]]


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_a_transparent_grey_is_black_at_every_depth(bits: int) -> None:
    white = 2**bits - 1
    lines = b"\0" + bytes([white << (8 - bits)]) + b"\0\0"
    header = struct.pack(">IIBBBBB", 1, 2, bits, 0, 0, 0, 0)
    content = b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", header)
    opaque = content + png_chunk(b"IDAT", zlib.compress(lines)) + png_chunk(b"IEND", b"")
    assert decode_raster(opaque, "png").pixels[0, 0].tolist() == [255] * 3
    content += png_chunk(b"tRNS", struct.pack(">H", white))
    clear = content + png_chunk(b"IDAT", zlib.compress(lines)) + png_chunk(b"IEND", b"")
    decoded = decode_raster(clear, "png")
    assert not decoded.pixels.any()
    assert decoded.rendering == "alpha over black"


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("name", ["png", "jpeg", "webp", "tiff"])
def test_a_turned_picture_is_put_upright(orientation: int, name: Any) -> None:
    turns = {
        1: lambda image: image,
        2: lambda image: image[:, ::-1],
        3: lambda image: image[::-1, ::-1],
        4: lambda image: image[::-1],
        5: lambda image: image.transpose(1, 0, 2),
        6: lambda image: np.rot90(image, 1),
        7: lambda image: image[::-1, ::-1].transpose(1, 0, 2),
        8: lambda image: np.rot90(image, -1),
    }
    stored = Image.fromarray(np.ascontiguousarray(turns[orientation](picture())))
    exif = Image.Exif()
    exif[0x0112] = orientation
    quality = {} if name in ("png", "tiff") else {"quality": 95}
    decoded = decode_raster(save(stored, name, exif=exif.tobytes(), **quality), name)
    assert decoded.pixels.shape == picture().shape
    assert difference(decoded.pixels, picture()) < 5
    turned = f"turned by EXIF orientation {orientation}"
    assert decoded.rendering == ("identity" if orientation == 1 else turned)


def test_a_turn_is_named_beside_the_other_rules() -> None:
    stored = Image.fromarray(np.array([[0, 500]], np.uint16))
    exif = Image.Exif()
    exif[0x0112] = 6
    decoded = png(stored, exif=exif.tobytes())
    assert decoded.pixels.shape == (2, 1, 3)
    assert decoded.rendering == "full range; turned by EXIF orientation 6"


def test_of_several_pages_the_first_is_taken_and_named() -> None:
    pages = [Image.fromarray(np.full((4, 4), value, np.uint8)) for value in (10, 20, 30)]
    content = save(pages[0], "tiff", save_all=True, append_images=pages[1:])
    decoded = decode_raster(content, "tiff")
    assert (decoded.pixels == 10).all()
    assert decoded.rendering == "page 1 of 3"


@pytest.mark.parametrize("name", ["gif", "webp", "png"])
def test_of_an_animation_the_first_frame_is_taken_and_named(name: Any) -> None:
    frames = [Image.fromarray(np.full((8, 8), value, np.uint8)) for value in (0, 255)]
    content = save(frames[0], name, save_all=True, append_images=frames[1:])
    decoded = decode_raster(content, name)
    assert decoded.pixels.mean() < 5
    assert decoded.rendering == "first frame"


def test_cmyk_becomes_rgb_by_a_named_rule() -> None:
    image = Image.fromarray(picture()).convert("CMYK")
    decoded = decode_raster(save(image, "jpeg", quality=95), "jpeg")
    assert difference(decoded.pixels, picture()) < 6
    assert decoded.rendering == "CMYK to RGB without profile"


def test_a_colour_space_without_a_rule_is_refused() -> None:
    content = save(Image.new("LAB", (4, 4)), "tiff")
    with pytest.raises(UnsupportedImage, match="LAB"):
        decode_raster(content, "tiff")


def test_a_bomb_is_refused_by_its_header_within_milliseconds() -> None:
    content = png_bomb(30_000, 30_000)
    start = time.perf_counter()
    with pytest.raises(ImageTooLarge, match="30000 x 30000"):
        decode_raster(content, "png")
    assert time.perf_counter() - start < 0.1


@pytest.mark.parametrize("name", ["png", "jpeg", "tiff", "webp", "bmp", "gif"])
def test_every_format_is_held_to_the_pixel_limit(name: Any) -> None:
    content = save(Image.fromarray(picture(32, 32)), name)
    decode_raster(content, name, Limits(max_pixels=32 * 32))
    with pytest.raises(ImageTooLarge):
        decode_raster(content, name, Limits(max_pixels=32 * 32 - 1))


def test_a_gif_frame_larger_than_its_screen_is_held_to_the_limit() -> None:
    content = bytearray(save(Image.fromarray(picture(32, 32)), "gif"))
    content[6:10] = struct.pack("<HH", 1, 1)
    with pytest.raises(ImageTooLarge):
        decode_raster(bytes(content), "gif", Limits(max_pixels=100))
    assert decode_raster(bytes(content), "gif").pixels.shape == (32, 32, 3)


@pytest.mark.parametrize("name", ["png", "jpeg", "tiff", "webp", "bmp", "gif"])
def test_a_file_cut_short_is_broken(name: Any) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (32, 32, 3), dtype=np.uint8)
    content = save(Image.fromarray(noise), name)
    for share in (0.05, 0.3, 0.6, 0.9):
        with pytest.raises(BrokenImage):
            decode_raster(content[: int(share * len(content))], name)


def textured(kind: str) -> Image.Image:
    """A picture whose lower half is of one colour, of 200 x 160 pixels."""
    noise = np.random.default_rng(3).integers(0, 255, (200, 160, 3), dtype=np.uint8)
    noise[100:] = 0
    return Image.fromarray(noise).convert(kind)


@pytest.mark.parametrize("kind", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize(
    "options",
    [{}, {"subsampling": 0}, {"restart_marker_rows": 1}, {"optimize": True}, {"progressive": True}],
    ids=["plain", "4:4:4", "restarts", "optimized", "progressive"],
)
def test_a_jpeg_whose_pixels_end_early_is_broken_although_it_has_an_end(
    kind: str, options: dict[str, Any]
) -> None:
    content = save(textured(kind), "jpeg", **options)
    assert decode_raster(content, "jpeg").pixels.shape == (200, 160, 3)
    scans = content.index(b"\xff\xda") + 14
    # Of a progressive one the first scan has the colours of all blocks.
    end = content.find(b"\xff\xc4", scans) if "progressive" in options else len(content)
    for share in (0.01, 0.2, 0.5, 0.9):
        cut = content[: scans + int(share * (end - scans))]
        with pytest.raises(BrokenImage, match="before the 200 rows"):
            decode_raster(cut + b"\xff\xd9", "jpeg")


@pytest.mark.parametrize("kind", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("end", [b"", b"\xff\xd9"], ids=["no end", "end"])
def test_a_progressive_jpeg_without_its_last_scans_is_cut_short(kind: str, end: bytes) -> None:
    content = save(textured(kind), "jpeg", progressive=True)
    starts = [place for place in range(len(content)) if content[place : place + 2] == b"\xff\xda"]
    for start in starts[1:]:
        with pytest.raises(BrokenImage, match="cut short"):
            decode_raster(content[:start] + end, "jpeg")


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"restart_marker_rows": 1}])
@pytest.mark.parametrize("behind", [b"", bytes(40)], ids=["nothing", "padding"])
def test_a_whole_jpeg_without_its_end_marker_is_read_and_told(
    options: dict[str, Any], behind: bytes
) -> None:
    content = save(Image.fromarray(picture(200, 160)), "jpeg", **options)
    whole = decode_raster(content, "jpeg")
    decoded = decode_raster(content[:-2] + behind, "jpeg")
    assert np.array_equal(decoded.pixels, whole.pixels)
    assert decoded.rendering == "end marker added"


def test_a_whole_jpeg_with_fill_bytes_before_its_end_marker_is_read() -> None:
    content = save(Image.new("RGB", (64, 48), (9, 9, 9)), "jpeg")
    assert decode_raster(content[:-2] + b"\xff\xff\xff\xd9", "jpeg").pixels.shape == (48, 64, 3)


@pytest.mark.parametrize("missing", [20, 100, 1000])
@pytest.mark.parametrize("options", [{}, {"restart_marker_rows": 1}])
def test_a_jpeg_that_is_cut_a_little_short_is_broken(options: dict[str, Any], missing: int) -> None:
    noise = np.random.default_rng(3).integers(0, 255, (200, 160, 3), dtype=np.uint8)
    content = save(Image.fromarray(noise), "jpeg", **options)
    with pytest.raises(BrokenImage, match="cut short"):
        decode_raster(content[:-missing], "jpeg")


@pytest.mark.parametrize("colour", [0, 128, 255])
def test_a_jpeg_of_one_colour_is_complete(colour: int) -> None:
    blank = np.full((200, 160, 3), colour, np.uint8)
    for options in ({}, {"optimize": True}, {"progressive": True}):
        content = save(Image.fromarray(blank), "jpeg", **options)
        assert (decode_raster(content, "jpeg").pixels == colour).all()


def test_a_wrong_checksum_is_broken_in_every_chunk() -> None:
    content = save(Image.fromarray(picture()), "png")
    for chunk in (b"IHDR", b"IDAT", b"IEND"):
        at = content.index(chunk)
        length = struct.unpack(">I", content[at - 4 : at])[0]
        crc = at + 4 + length
        damaged = content[:crc] + bytes([content[crc] ^ 1]) + content[crc + 1 :]
        with pytest.raises(BrokenImage, match="checksum"):
            decode_raster(damaged, "png")


def test_a_tiff_of_too_many_strips_is_refused() -> None:
    entries = [(256, 4, 1, 8), (257, 4, 1, 8), (273, 4, 200_000, 8)]
    with pytest.raises(ImageTooLarge, match="strips"):
        decode_raster(tiff(entries, bytes(800_000)), "tiff")


def test_tags_that_share_one_large_value_are_refused() -> None:
    entries = [(256, 4, 1, 8), (257, 4, 1, 8)] + [(n, 7, 60_000, 8) for n in range(300, 320)]
    with pytest.raises(BrokenImage, match="claim"):
        decode_raster(tiff(entries, bytes(60_000)), "tiff")


@pytest.mark.parametrize("name", ["png", "jpeg", "webp"])
def test_exif_tags_that_share_one_large_value_are_refused(name: Any) -> None:
    block = tiff([(n, 7, 30_000, 8) for n in range(300, 400)], bytes(30_000))
    content = save(Image.fromarray(picture()), name, exif=b"Exif\x00\x00" + block)
    with pytest.raises(BrokenImage, match="claim"):
        decode_raster(content, name)


def test_a_jpeg_of_many_scans_is_refused() -> None:
    content = save(Image.fromarray(picture()), "jpeg", progressive=True)
    scan = content[content.index(b"\xff\xda") : -2]
    with pytest.raises(ImageTooLarge, match="scans"):
        decode_raster(content[:-2] + scan * 200 + content[-2:], "jpeg")


masks = st.tuples(st.integers(1, 20), st.integers(1, 20)).flatmap(
    lambda size: st.lists(
        st.booleans(), min_size=size[0] * size[1], max_size=size[0] * size[1]
    ).map(lambda bits: np.array(bits).reshape(size))
)


@settings(deadline=None)
@given(masks)
def test_a_mask_survives_its_png(mask: npt.NDArray[np.bool_]) -> None:
    assert np.array_equal(decode_mask_png(encode_mask_png(mask)), mask)


def test_a_mask_file_is_eight_bit_grey_of_0_and_255() -> None:
    with Image.open(BytesIO(encode_mask_png(np.eye(4, dtype=bool)))) as image:
        assert image.mode == "L"
        assert np.array_equal(np.asarray(image), np.eye(4) * 255)


@pytest.mark.parametrize(("name", "mode"), [("png", "1"), ("png", "L"), ("png", "P"), ("gif", "L")])
def test_masks_of_every_depth_are_read(name: str, mode: str) -> None:
    mask = np.indices((9, 11)).sum(axis=0) % 3 == 0
    image = Image.fromarray(mask.astype(np.uint8) * 255).convert(mode)
    decoded = decode_mask_png(save(image, name))
    assert decoded.dtype == np.bool_
    assert np.array_equal(decoded, mask)


def test_a_mask_is_never_a_lossy_file() -> None:
    with pytest.raises(UnsupportedImage, match="jpeg"):
        decode_mask_png(save(Image.fromarray(picture()), "jpeg"))


def test_a_picture_survives_its_png_and_carries_nothing_else() -> None:
    content = encode_png(picture())
    assert np.array_equal(decode_raster(content, "png").pixels, picture())
    with Image.open(BytesIO(content)) as image:
        assert image.info == {}


# The samples: real files.


def test_the_exif_sample_equals_its_upright_twin(sample: Sample) -> None:
    upright = decode_raster(sample("images/isic_rgb.jpg"), "jpeg").pixels
    turned = decode_raster(sample("images/isic_exif_orientation6.jpg"), "jpeg").pixels
    assert upright.shape == (384, 512, 3)
    assert difference(turned, upright) < 2


@pytest.mark.parametrize(
    ("name", "kind", "tolerance"),
    [
        ("isic_cmyk.jpg", "jpeg", 3),
        ("isic_progressive.jpg", "jpeg", 1),
        ("isic_palette.png", "png", 6),
        ("isic.webp", "webp", 5),
        ("isic.bmp", "bmp", 3),
        ("isic file with spaces, ünïcode.png", "png", 4),
    ],
)
def test_every_variant_of_the_skin_sample_shows_the_same_lesion(
    sample: Sample, name: str, kind: Any, tolerance: float
) -> None:
    original = decode_raster(sample("images/isic_rgb.jpg"), "jpeg").pixels
    decoded = decode_raster(sample(f"images/{name}"), kind).pixels
    size = (decoded.shape[1], decoded.shape[0])
    resized = np.asarray(Image.fromarray(original).resize(size, Image.Resampling.BOX))
    assert difference(decoded, resized) < tolerance


def test_the_grey_skin_samples_are_grey(sample: Sample) -> None:
    original = Image.fromarray(decode_raster(sample("images/isic_rgb.jpg"), "jpeg").pixels)
    grey = decode_raster(sample("images/isic_gray.jpg"), "jpeg").pixels
    assert difference(grey[:, :, 0], np.asarray(original.convert("L"))) < 2
    alpha = decode_raster(sample("images/isic_gray_alpha.png"), "png")
    assert alpha.rendering == "alpha over black"
    assert np.ptp(alpha.pixels, axis=2).max() == 0


def test_the_three_ultrasound_files_are_one_picture_and_its_mask(sample: Sample) -> None:
    colour = decode_raster(sample("images/busi_native_rgb.png"), "png").pixels
    grey = decode_raster(sample("images/busi_gray8.png"), "png").pixels
    mask = decode_mask_png(sample("images/busi_native_mask_1bit.png"))
    assert difference(colour, grey) < 1
    assert mask.shape == colour.shape[:2]
    assert 0.05 < mask.mean() < 0.25


def test_the_fundus_sample_opens_with_its_gif_mask(sample: Sample) -> None:
    fundus = decode_raster(sample("images/drive_native_rgb.tif"), "tiff").pixels
    vessels = decode_mask_png(sample("images/drive_native_mask.gif"))
    assert vessels.shape == fundus.shape[:2] == (584, 565)
    assert 0.05 < vessels.mean() < 0.15
    assert fundus[292, 282, 0] > fundus[292, 282, 2]


def test_the_deep_samples_use_the_whole_grey_range(sample: Sample) -> None:
    for name, kind in (
        ("ct_gray16.png", "png"),
        ("mr_adc_gray16.tif", "tiff"),
        ("mr_adc_float32.tif", "tiff"),
    ):
        decoded = decode_raster(sample(f"images/{name}"), kind)  # type: ignore[arg-type]
        assert decoded.rendering == PERCENTILES
        assert (decoded.pixels.min(), decoded.pixels.max()) == (0, 255)
        assert 20 < decoded.pixels.mean() < 120


def test_the_same_slice_looks_the_same_in_integers_and_in_floats(sample: Sample) -> None:
    integers = decode_raster(sample("images/mr_adc_gray16.tif"), "tiff").pixels
    floats = decode_raster(sample("images/mr_adc_float32.tif"), "tiff").pixels
    assert difference(integers, floats) < 0.5


def test_the_remaining_samples_open(sample: Sample) -> None:
    assert decode_raster(sample("images/ct_multipage_3.tif"), "tiff").rendering == "page 1 of 3"
    assert decode_raster(sample("images/dsb_native_rgba.png"), "png").rendering == "identity"
    assert decode_raster(sample("images/one_pixel.png"), "png").pixels.shape == (1, 1, 3)
