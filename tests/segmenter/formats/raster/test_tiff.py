"""TIFF as microscopes, scanners and viewers write it: the picture is what its samples say."""

import struct
from io import BytesIO
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import tifffile
from PIL import Image

from segmenter.errors import BrokenImage, ImageTooLarge, InvalidPrompt, UnsupportedImage
from segmenter.formats.decoded import DecodedImage, Window
from segmenter.formats.frames import Frames, ReadOptions
from segmenter.formats.limits import DEFAULT_LIMITS, Limits
from segmenter.formats.raster.image import decode_raster
from segmenter.formats.sequences import open_frames
from tests.segmenter.formats.build import picture, save, shown_values

Pixels = npt.NDArray[Any]
COLOURS = picture(40, 56)
DOWN, RIGHT = np.mgrid[0:40, 0:56]
GREY = (RIGHT * 4).astype(np.uint8)
PERCENTILES = "window at percentiles 0.5 and 99.5 of non-zero values"
ALL_OF_IT = Window(27.5, 55.0)
SPREAD = np.rint(RIGHT / 55 * 255)


def written(samples: Pixels, **options: Any) -> bytes:
    stream = BytesIO()
    tifffile.imwrite(stream, samples, **options)
    return stream.getvalue()


def read(content: bytes, limits: Limits = DEFAULT_LIMITS, **options: Any) -> DecodedImage:
    return decode_raster(content, "tiff", limits, **options)


def planes(pixels: Pixels) -> Pixels:
    return np.ascontiguousarray(np.moveaxis(pixels, 2, 0))


def as_rgb(grey: Pixels) -> Pixels:
    return np.repeat(grey[..., None], 3, axis=2)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("tile", [None, (16, 16)], ids=["strips", "tiles"])
@pytest.mark.parametrize("separate", [False, True], ids=["pixels", "planes"])
@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize(
    ("compression", "predictor"),
    [(None, None), ("packbits", None), ("lzw", 2), ("deflate", 2), ("zstd", None), ("lzma", 2)],
)
def test_colour_is_the_same_however_its_samples_are_laid_out(
    compression: str | None,
    predictor: int | None,
    bits: int,
    separate: bool,
    tile: Any,
    order: Any,
) -> None:
    samples = COLOURS if bits == 8 else COLOURS.astype(np.uint16) * 256 + 200
    content = written(
        planes(samples) if separate else samples,
        photometric="rgb",
        planarconfig="separate" if separate else "contig",
        compression=compression,
        predictor=predictor,
        tile=tile,
        byteorder=order,
        bigtiff=order == ">",
    )
    decoded = read(content)
    assert np.array_equal(decoded.pixels, COLOURS)
    assert decoded.rendering == ("identity" if bits == 8 else "high byte of 16-bit samples")


def test_planes_of_16_bits_are_not_taken_for_pixels() -> None:
    """Once columns of them came out black in turn."""
    samples = np.empty((3, 8, 8), np.uint16)
    samples[:] = np.array([200, 100, 30], np.uint16)[:, None, None] * 256
    decoded = read(written(samples, photometric="rgb", planarconfig="separate"))
    assert (decoded.pixels == (200, 100, 30)).all()


@pytest.mark.parametrize(
    "kind",
    [
        "int8",
        "int16",
        "uint16",
        "int32",
        "uint32",
        "int64",
        "uint64",
        "float16",
        "float32",
        "float64",
    ],
)
def test_grey_of_any_number_type_is_windowed(kind: str) -> None:
    content = written(RIGHT.astype(kind), photometric="minisblack")
    assert np.array_equal(read(content, window=ALL_OF_IT).pixels[..., 0], SPREAD)
    assert read(content).rendering == PERCENTILES


def test_negative_numbers_are_darker_than_zero() -> None:
    content = written((RIGHT - 30).astype(np.int16))
    shown = read(content, window=Window(-2.5, 55.0)).pixels[..., 0]
    assert np.array_equal(shown, SPREAD)


@pytest.mark.parametrize("kind", ["float16", "float32", "float64"])
def test_floats_with_a_predictor_of_their_own_are_read(kind: str) -> None:
    content = written(RIGHT.astype(kind), compression="deflate", predictor=3)
    assert np.array_equal(read(content, window=ALL_OF_IT).pixels[..., 0], SPREAD)


@pytest.mark.parametrize("bits", [1, 2, 3, 4, 6])
def test_few_bits_span_black_to_white(bits: int) -> None:
    samples = (RIGHT % (1 << bits)).astype(np.uint8)
    stored = samples.astype(bool) if bits == 1 else samples
    content = written(stored, bitspersample=bits, photometric="minisblack")
    decoded = read(content)
    assert np.array_equal(decoded.pixels[..., 0], samples.astype(int) * 255 // ((1 << bits) - 1))
    told = "identity" if bits in (1, 2, 4) else f"{bits} bits spread over 8"
    assert decoded.rendering == told


@pytest.mark.parametrize("bits", [10, 12, 14])
def test_packed_bits_of_deep_grey_and_colour_are_read(bits: int) -> None:
    grey = written(RIGHT.astype(np.uint16), bitspersample=bits, photometric="minisblack")
    assert np.array_equal(read(grey, window=ALL_OF_IT).pixels[..., 0], SPREAD)
    deep = COLOURS.astype(np.uint16) << (bits - 8)
    colour = read(written(deep, bitspersample=bits, photometric="rgb"))
    assert np.array_equal(colour.pixels, COLOURS)
    assert colour.rendering == f"highest 8 of {bits} bits"


@pytest.mark.parametrize("separate", [False, True], ids=["pixels", "planes"])
@pytest.mark.parametrize("channels", [3, 4, 5, 7])
def test_of_channels_without_a_colour_the_first_three_are_shown_and_named(
    channels: int, separate: bool
) -> None:
    samples = np.stack([GREY // (number + 1) for number in range(channels)])
    content = written(
        samples if separate else np.moveaxis(samples, 0, 2).copy(),
        photometric="minisblack",
        planarconfig="separate" if separate else "contig",
    )
    decoded = read(content)
    assert np.array_equal(decoded.pixels, np.moveaxis(samples[:3], 0, 2))
    assert decoded.rendering == f"channels 1 to 3 of {channels} as red, green and blue"


def test_deep_channels_have_a_window_each() -> None:
    """A dim dye would be black beside a bright one."""
    samples = np.stack([RIGHT + 1, (RIGHT + 1) * 1000, (DOWN + 1) * 10, RIGHT, RIGHT])
    decoded = read(written(samples.astype(np.uint16), photometric="minisblack", planarconfig=2))
    assert [int(decoded.pixels[..., each].max()) for each in range(3)] == [255, 255, 255]
    assert decoded.rendering == (
        f"{PERCENTILES}; each channel by its own; channels 1 to 3 of 5 as red, green and blue"
    )


@pytest.mark.parametrize("separate", [False, True], ids=["pixels", "planes"])
def test_of_two_channels_the_first_is_shown_and_named(separate: bool) -> None:
    samples = np.stack([GREY, GREY // 2])
    content = written(
        samples if separate else np.moveaxis(samples, 0, 2).copy(),
        photometric="minisblack",
        planarconfig="separate" if separate else "contig",
    )
    decoded = read(content)
    assert np.array_equal(decoded.pixels, as_rgb(GREY))
    assert decoded.rendering == "channel 1 of 2"


def test_colour_with_further_channels_is_colour() -> None:
    samples = np.dstack([COLOURS, GREY, GREY])
    decoded = read(written(samples, photometric="rgb"))
    assert np.array_equal(decoded.pixels, COLOURS)
    assert decoded.rendering == "channels 1 to 3 of 5"


@pytest.mark.parametrize("kind", ["int16", "uint32", "float32"])
def test_deep_colour_of_other_numbers_has_one_window(kind: str) -> None:
    samples = np.stack([RIGHT, RIGHT, RIGHT // 2], axis=2).astype(kind)
    content = written(samples, photometric="rgb")
    shown = read(content, window=ALL_OF_IT).pixels
    assert np.array_equal(shown[..., 0], SPREAD)
    assert read(content).rendering == PERCENTILES
    assert read(content).pixels[0, 40, 2] == pytest.approx(read(content).pixels[0, 20, 0], abs=1)


@pytest.mark.parametrize(
    ("alpha", "shown", "rule"),
    [
        ("unassalpha", (COLOURS.astype(int) * 128 + 127) // 255, "alpha over black"),
        ("assocalpha", COLOURS, "alpha over black"),
        ("unspecified", COLOURS, "channels 1 to 3 of 4"),
    ],
)
def test_alpha_is_what_the_file_says_it_is(alpha: str, shown: Pixels, rule: str) -> None:
    samples = np.dstack([COLOURS, np.full(GREY.shape, 128, np.uint8)])
    decoded = read(written(samples, photometric="rgb", extrasamples=[alpha]))
    assert np.array_equal(decoded.pixels, shown)
    assert decoded.rendering == rule


@pytest.mark.parametrize("bits", [8, 16])
def test_a_palette_is_applied(bits: int) -> None:
    colours = np.random.default_rng(1).integers(256, 65_536, (3, 1 << bits), np.uint16)
    stored = GREY.astype(np.uint8 if bits == 8 else np.uint16)
    decoded = read(written(stored, photometric="palette", colormap=colours))
    assert np.array_equal(decoded.pixels, np.moveaxis(colours >> 8, 0, 1)[GREY])
    assert decoded.rendering == "identity"


@pytest.mark.parametrize("bits", [8, 16])
def test_inks_become_rgb(bits: int) -> None:
    image = Image.fromarray(COLOURS).convert("CMYK")
    inks = np.asarray(image).astype(np.uint8 if bits == 8 else np.uint16)
    decoded = read(written(inks * (1 if bits == 8 else 257), photometric="separated"))
    assert np.array_equal(decoded.pixels, np.asarray(image.convert("RGB")))
    assert decoded.rendering.endswith("CMYK to RGB without profile")


@pytest.mark.parametrize("bits", [8, 16])
def test_white_as_zero_is_turned_and_named(bits: int) -> None:
    stored = RIGHT.astype(np.uint8 if bits == 8 else np.uint16)
    decoded = read(written(stored, photometric="miniswhite"), window=ALL_OF_IT)
    expected = 255 - (stored if bits == 8 else SPREAD)
    assert np.array_equal(decoded.pixels[..., 0], expected)
    assert decoded.rendering.endswith("inverted (white is zero)")


@pytest.mark.parametrize("tile", [None, (16, 16), (64, 64)], ids=["strips", "tiles", "large tiles"])
@pytest.mark.parametrize("compression", ["jpeg2000", "webp", "lerc"])
def test_pictures_within_a_tiff_are_read(compression: str, tile: Any) -> None:
    args: Any = {"jpeg2000": {"level": 0}, "webp": {"lossless": True}, "lerc": {"level": 0}}
    content = written(
        COLOURS,
        photometric="rgb",
        compression=compression,
        compressionargs=args[compression],
        tile=tile,
    )
    assert np.array_equal(read(content).pixels, COLOURS)


@pytest.mark.parametrize("compression", ["jpeg2000", "lerc"])
def test_deep_pictures_within_a_tiff_are_read(compression: str) -> None:
    args = {"level": 0}
    stored = RIGHT.astype(np.uint16)
    content = written(stored, compression=compression, compressionargs=args)
    assert np.array_equal(read(content, window=ALL_OF_IT).pixels[..., 0], SPREAD)


@pytest.mark.parametrize("tile", [None, (32, 32)], ids=["strips", "tiles"])
def test_jpeg_within_a_tiff_is_read(tile: Any) -> None:
    smooth = np.stack([RIGHT * 2, DOWN * 3, RIGHT + DOWN], axis=2).astype(np.uint8)
    content = written(
        smooth, photometric="rgb", compression="jpeg", compressionargs={"level": 95}, tile=tile
    )
    # Beyond the picture a tile holds black, which its JPEG smears inwards.
    inner = slice(0, 32 if tile else 40), slice(0, 32 if tile else 56)
    assert np.abs(read(content).pixels[inner].astype(int) - smooth[inner]).max() < 12


def test_jpeg_of_12_bits_within_a_tiff_is_read() -> None:
    content = written(RIGHT.astype(np.uint16), compression="jpeg", bitspersample=12)
    shown = read(content, window=ALL_OF_IT).pixels[..., 0]
    assert np.abs(shown.astype(int) - SPREAD).max() < 12


@pytest.mark.parametrize("compression", ["group3", "group4", "tiff_ccitt"])
def test_fax_is_read(compression: str) -> None:
    image = Image.fromarray(GREY).convert("1")
    decoded = read(save(image, "TIFF", compression=compression))
    assert np.array_equal(decoded.pixels[..., 0], np.asarray(image).astype(np.uint8) * 255)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"compression": "jpegxl"}, "JPEG XL in TIFF is not read: export it with LZW or Deflate"),
        ({"compression": "png"}, "compression 34933 in TIFF is not read"),
    ],
)
def test_a_compression_that_is_not_read_is_named(options: Any, words: str) -> None:
    with pytest.raises(UnsupportedImage, match=words):
        read(written(COLOURS, photometric="rgb", **options))


def test_complex_numbers_are_refused_by_name() -> None:
    with pytest.raises(UnsupportedImage, match="samples of format 6 and 64 bits"):
        read(written(RIGHT.astype(np.complex64)))


def plain(tags: dict[int, list[int]], samples: bytes, order: str = "<") -> bytes:
    """An uncompressed TIFF with these tags alone, all of them short, and one strip."""
    entries, values = b"", b""
    count = len(tags) + 1
    behind = 8 + 2 + 12 * count + 4
    long = sum(2 * len(each) for each in tags.values() if len(each) > 2)
    for tag, numbers in sorted((tags | {273: []}).items()):
        raw = struct.pack(f"{order}{len(numbers)}H", *numbers)
        if tag == 273:
            entries += struct.pack(order + "HHII", tag, 4, 1, behind + long)
            continue
        field = raw.ljust(4, b"\0")
        if len(raw) > 4:
            field = struct.pack(order + "I", behind + len(values))
            values += raw
        entries += struct.pack(order + "HHI", tag, 3, len(numbers)) + field
    head = (b"II" if order == "<" else b"MM") + struct.pack(order + "HI", 42, 8)
    return head + struct.pack(order + "H", count) + entries + bytes(4) + values + samples


SIZE = {256: [56], 257: [40]}
BITS = np.packbits(RIGHT % 3 == 0, axis=1)
BACKWARDS = np.array([int(f"{byte:08b}"[::-1], 2) for byte in range(256)], np.uint8)[BITS]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (plain(SIZE | {258: [8]}, GREY.tobytes()), as_rgb(GREY)),
        (plain(SIZE | {262: [1]}, BITS.tobytes()), as_rgb((RIGHT % 3 == 0) * 255)),
        (plain(SIZE | {262: [1], 266: [2]}, BACKWARDS.tobytes()), as_rgb((RIGHT % 3 == 0) * 255)),
        (plain(SIZE | {258: [8] * 3, 277: [3]}, COLOURS.tobytes(), ">"), COLOURS),
        (plain(SIZE | {258: [8], 279: [2300]}, GREY.tobytes() + bytes(99)), as_rgb(GREY)),
    ],
    ids=["no photometric", "no bits", "bits backwards", "no photometric, colour", "too long"],
)
def test_old_files_that_leave_tags_out_are_read(content: bytes, expected: Pixels) -> None:
    assert np.array_equal(read(content).pixels, expected)


@pytest.mark.parametrize("subsampling", [(1, 1), (2, 1), (2, 2)])
@pytest.mark.parametrize("tile", [None, (64, 64)], ids=["strips", "tiles"])
def test_coarse_chrominance_is_read_as_libtiff_does(subsampling: Any, tile: Any) -> None:
    content = written(
        np.kron(COLOURS, np.ones((4, 4, 1), np.uint8)),
        photometric="ycbcr",
        compression="jpeg",
        subsampling=subsampling,
        tile=tile,
        rowsperstrip=None if tile else 16,
    )
    with Image.open(BytesIO(content)) as image:
        assert (
            np.abs(read(content).pixels.astype(int) - np.asarray(image.convert("RGB"))).max() <= 1
        )


# Damage.


def test_a_stream_larger_than_its_tile_is_refused_before_it_is_decoded() -> None:
    large = written(np.zeros((4096, 4096), np.uint8), compression="jpeg2000", rowsperstrip=4096)
    content = bytearray(large)
    with tifffile.TiffFile(BytesIO(large)) as file:
        for name in ("ImageWidth", "ImageLength", "RowsPerStrip"):
            tag = file.pages[0].tags[name]
            struct.pack_into("<I" if tag.dtype == 4 else "<H", content, tag.valueoffset, 64)
    with pytest.raises(BrokenImage, match="4096 x 4096 pixels in a TIFF tile or strip of 64 x 64"):
        read(bytes(content))


def test_missing_strips_are_never_other_memory() -> None:
    content = bytearray(written(COLOURS, photometric="rgb", rowsperstrip=8, compression="lzw"))
    with tifffile.TiffFile(BytesIO(bytes(content))) as file:
        tag = file.pages[0].tags["StripOffsets"]
        struct.pack_into("<I", content, tag.offset + 4, 2)
    with pytest.raises(BrokenImage, match="strips or tiles where its size asks for 5"):
        read(bytes(content))


def test_strips_that_are_not_stored_are_black_and_told() -> None:
    content = bytearray(written(COLOURS, photometric="rgb", rowsperstrip=8, compression="lzw"))
    with tifffile.TiffFile(BytesIO(bytes(content))) as file:
        tag = file.pages[0].tags["StripByteCounts"]
        struct.pack_into("<H" if tag.dtype == 3 else "<I", content, tag.valueoffset, 0)
    decoded = read(bytes(content))
    assert not decoded.pixels[:8].any()
    assert np.array_equal(decoded.pixels[8:], COLOURS[8:])
    assert decoded.rendering == "1 of 5 tiles are not stored: black"


@pytest.mark.parametrize("compression", [None, "lzw", "deflate", "zstd", "jpeg", "jpeg2000"])
def test_a_strip_that_is_cut_short_is_broken(compression: str | None) -> None:
    content = bytearray(written(COLOURS, photometric="rgb", compression=compression))
    with tifffile.TiffFile(BytesIO(bytes(content))) as file:
        tag = file.pages[0].tags["StripByteCounts"]
        form = "<H" if tag.dtype == 3 else "<I"
        count = struct.unpack_from(form, content, tag.valueoffset)[0]
        struct.pack_into(form, content, tag.valueoffset, count // 2)
    with pytest.raises(BrokenImage):
        read(bytes(content))


def test_nothing_is_printed_about_damage(capfd: pytest.CaptureFixture[str]) -> None:
    for compression in ("deflate", "jpeg", "jpeg2000", "lzw"):
        whole = written(COLOURS, photometric="rgb", compression=compression)
        for at in range(len(whole) // 2, len(whole), 97):
            damaged = whole[:at] + b"\x55\xaa" + whole[at + 2 :]
            try:
                read(damaged)
            except (BrokenImage, UnsupportedImage, ImageTooLarge):
                continue
    assert capfd.readouterr() == ("", "")


# Levels and measures.


def slide(limit: int | None = None) -> DecodedImage:
    """A slide as Aperio writes it: levels in pages of their own, beside other pictures."""
    full = picture(256, 384)
    stream = BytesIO()
    options: Any = {"photometric": "rgb", "compression": "deflate", "metadata": None}
    words = "Aperio Image Library v12.0\n384x256 [0,0] (64x64)|AppMag = 20|MPP = 0.5"
    with tifffile.TiffWriter(stream) as file:
        file.write(full, tile=(64, 64), description=words, **options)
        file.write(full[::3, ::3], description="thumbnail", **options)
        file.write(full[::4, ::4], tile=(64, 64), **options)
        file.write(full[::16, ::16], tile=(64, 64), **options)
        file.write(full[:50, :40], subfiletype=1, description="label", **options)
        file.write(full[:30, :90], subfiletype=9, description="macro", **options)
    return read(stream.getvalue(), Limits(max_pixels=limit) if limit else DEFAULT_LIMITS)


@pytest.mark.parametrize(
    ("limit", "shape", "rule", "side_mm"),
    [
        (None, (256, 384), "level 1 of 3, the full size", 0.0005),
        (50_000, (64, 96), "level 2 of 3, 1/4 of the size", 0.002),
        (5_000, (16, 24), "level 3 of 3, 1/16 of the size", 0.008),
    ],
)
def test_of_a_slide_the_level_that_fits_is_shown_and_named(
    limit: int | None, shape: tuple[int, int], rule: str, side_mm: float
) -> None:
    decoded = slide(limit)
    assert decoded.pixels.shape[:2] == shape
    assert np.array_equal(decoded.pixels, picture(256, 384)[:: 256 // shape[0], :: 384 // shape[1]])
    assert decoded.rendering == rule
    assert decoded.spacing is not None
    assert (decoded.spacing.row_mm, decoded.spacing.source) == (pytest.approx(side_mm), "MPP")


def test_a_slide_of_which_no_level_fits_is_too_large() -> None:
    with pytest.raises(
        ImageTooLarge, match="over the limit of 100 in all; none of its 3 levels fits"
    ):
        slide(100)


def test_levels_of_ome_tiff_are_found_within_its_pages() -> None:
    full = picture(256, 384)
    stream = BytesIO()
    options: Any = {"tile": (64, 64), "photometric": "rgb"}
    sizes = {"PhysicalSizeX": 0.5, "PhysicalSizeY": 0.25, "PhysicalSizeYUnit": "µm"}
    with tifffile.TiffWriter(stream, ome=True) as file:
        file.write(full, subifds=2, metadata={"axes": "YXS", **sizes}, **options)
        file.write(full[::2, ::2], subfiletype=1, **options)
        file.write(full[::4, ::4], subfiletype=1, **options)
    decoded = read(stream.getvalue(), Limits(max_pixels=30_000))
    assert np.array_equal(decoded.pixels, full[::2, ::2])
    assert decoded.rendering == "level 2 of 3, 1/2 of the size"
    assert decoded.spacing is not None
    sides = decoded.spacing.row_mm, decoded.spacing.column_mm
    assert sides == (pytest.approx(0.0005), pytest.approx(0.001))


def test_levels_in_strips_are_found_where_they_say_that_they_are_smaller() -> None:
    full = picture(256, 384)
    stream = BytesIO()
    with tifffile.TiffWriter(stream) as file:
        file.write(full, photometric="rgb", metadata=None)
        file.write(full[::2, ::2], photometric="rgb", subfiletype=1, metadata=None)
    decoded = read(stream.getvalue(), Limits(max_pixels=30_000))
    assert np.array_equal(decoded.pixels, full[::2, ::2])
    assert decoded.rendering == "level 2 of 2, 1/2 of the size"


def test_a_preview_is_told() -> None:
    decoded = read(written(COLOURS, photometric="rgb", subfiletype=1))
    assert decoded.rendering == "preview of a larger picture"


def test_damage_to_a_page_that_is_not_shown_is_no_reason_to_refuse_the_first() -> None:
    stream = BytesIO()
    with tifffile.TiffWriter(stream) as file:
        for _ in range(2):
            file.write(COLOURS, photometric="rgb", metadata=None)
    content = bytearray(stream.getvalue())
    with tifffile.TiffFile(BytesIO(bytes(content))) as file:
        struct.pack_into("<H", content, file.pages[1].offset, 5000)
    assert np.array_equal(read(bytes(content)).pixels, COLOURS)


@pytest.mark.parametrize(
    ("options", "side_mm"),
    [
        ({"resolution": (20_000, 20_000), "resolutionunit": "CENTIMETER"}, 0.0005),
        ({"resolution": (118, 118), "resolutionunit": "CENTIMETER"}, None),
        ({"resolution": (300, 300), "resolutionunit": "INCH"}, None),
        ({"imagej": True, "resolution": (100, 100), "metadata": {"unit": "um"}}, 0.00001),
        ({"imagej": True, "resolution": (100, 100), "metadata": {"unit": "pixel"}}, None),
    ],
    ids=["microscope", "scan", "print", "ImageJ", "ImageJ without a unit"],
)
def test_a_resolution_is_a_measure_only_where_it_is_of_what_is_shown(
    options: Any, side_mm: float | None
) -> None:
    spacing = read(written(GREY, **options)).spacing
    assert (spacing and spacing.column_mm) == (side_mm and pytest.approx(side_mm))


# Pages as frames.


def opened(content: bytes, **options: Any) -> Frames:
    return open_frames(content, Limits(), ReadOptions(**options))


def test_pages_in_colour_are_frames() -> None:
    content = written(np.stack([COLOURS, 255 - COLOURS]), photometric="rgb", metadata=None)
    frames = opened(content)
    assert (frames.count, frames.rendering) == (2, "identity")
    assert np.array_equal(frames.frame(1), 255 - COLOURS)
    assert np.array_equal(frames.frame(0), COLOURS)


def test_deep_pages_with_white_as_zero_are_turned() -> None:
    pages = np.stack([RIGHT, RIGHT // 2]).astype(np.uint16)
    frames = opened(written(pages, photometric="miniswhite"), window=ALL_OF_IT)
    assert np.array_equal(shown_values(frames)[0], 255 - SPREAD)
    assert frames.rendering == "window as asked; inverted (white is zero)"


def test_thumbnails_between_pages_are_left_out() -> None:
    stream = BytesIO()
    with tifffile.TiffWriter(stream) as file:
        for number in range(3):
            file.write(GREY // (number + 1), metadata=None)
            file.write(GREY[::4, ::4], subfiletype=1, metadata=None)
    frames = opened(stream.getvalue())
    assert (frames.count, frames.rendering) == (3, "3 thumbnails left out")
    assert np.array_equal(shown_values(frames)[2], GREY // 3)


def test_a_slide_is_sent_to_the_route_of_pictures() -> None:
    stream = BytesIO()
    with tifffile.TiffWriter(stream) as file:
        for step in (1, 4):
            pixels = picture(256, 384)[::step, ::step]
            file.write(pixels, tile=(64, 64), photometric="rgb", metadata=None)
    with pytest.raises(UnsupportedImage, match="a TIFF slide with pages of several sizes"):
        opened(stream.getvalue())


def test_pages_of_different_kinds_are_refused() -> None:
    stream = BytesIO()
    with tifffile.TiffWriter(stream) as file:
        file.write(COLOURS, photometric="rgb")
        file.write(GREY)
    with pytest.raises(UnsupportedImage, match="different kinds of samples"):
        opened(stream.getvalue())


def hyperstack(imagej: bool) -> bytes:
    """Two times, three planes, two channels: each page of one value, in the file's own order."""
    order = "TZCYX" if imagej else "TCZYX"
    shape = (2, 3, 2) if imagej else (2, 2, 3)
    values = np.arange(12, dtype=np.uint8).reshape(shape)[..., None, None] * 10
    stack = np.broadcast_to(values, (*shape, 8, 9)).copy()
    if imagej:
        sizes: Any = {"unit": "um", "spacing": 3.0, "finterval": 0.1}
        return written(
            stack, imagej=True, resolution=(1000, 500), metadata={"axes": order, **sizes}
        )
    sizes = {"PhysicalSizeX": 1.0, "PhysicalSizeY": 2.0, "PhysicalSizeZ": 3.0}
    return written(stack, ome=True, photometric="minisblack", metadata={"axes": order, **sizes})


@pytest.mark.parametrize("imagej", [True, False], ids=["ImageJ", "OME"])
def test_planes_of_a_hyperstack_are_never_mixed_with_channels_and_times(imagej: bool) -> None:
    content = hyperstack(imagej)
    step = 20 if imagej else 10
    first, second = opened(content), opened(content, volume=2)
    assert shown_values(first)[:, 0, 0].tolist() == [0, step, 2 * step]
    assert shown_values(second)[:, 0, 0].tolist() == [60, 60 + step, 60 + 2 * step]
    assert first.rendering == "channel 1 of 2; volume 1 of 2"
    geometry = first.geometry
    assert geometry.spacing is not None
    sides = geometry.spacing.column_mm, geometry.spacing.row_mm, geometry.slice_mm
    assert sides == tuple(
        pytest.approx(each)
        for each in ((0.000001, 0.000002, 0.003) if imagej else (0.001, 0.002, 0.003))
    )
    with pytest.raises(InvalidPrompt, match="volume 3 of a TIFF of 2"):
        opened(content, volume=3)


def test_times_of_one_plane_are_a_clip() -> None:
    stack = np.arange(4, dtype=np.uint8)[:, None, None] * 50 + np.zeros((1, 8, 9), np.uint8)
    content = written(stack, imagej=True, metadata={"axes": "TYX", "finterval": 0.25})
    frames = opened(content)
    assert (frames.count, frames.geometry.axis, frames.geometry.fps) == (4, "time", 4.0)
