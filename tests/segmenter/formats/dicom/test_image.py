import struct
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    RLELossless,
    SegmentationStorage,
)

from segmenter.contract import Spacing
from segmenter.errors import BrokenImage, ImageTooLarge, UnsupportedImage
from segmenter.formats.decoded import Window
from segmenter.formats.dicom.image import decode_dicom
from segmenter.formats.limits import Limits
from tests.segmenter.formats.build import (
    PATIENT,
    dicom,
    dicom_bytes,
    dicom_dataset,
    dicom_jpeg,
    picture,
    save,
)

Sample = Callable[[str], bytes]

# Stored -100, 0, 100, ... : with intercept -1000 this is -1100 to 1900.
CT = (np.arange(31, dtype=np.int16) * 100 - 100).reshape(1, 31).repeat(4, axis=0)
TALL_CT = CT.repeat(16, axis=0).repeat(2, axis=1)
HU = {"RescaleSlope": "1", "RescaleIntercept": "-1000"}


def grey(content: bytes, **options: Any) -> list[int]:
    """The first row of the picture's grey levels."""
    pixels = decode_dicom(content, **options).pixels
    assert np.ptp(pixels, axis=2).max() == 0
    levels: list[int] = pixels[0, :, 0].tolist()
    return levels


# Grey: rescale, window, polarity, padding.


def test_the_window_of_the_tags_applies_to_rescaled_values() -> None:
    content = dicom(CT, **HU, WindowCenter="0.5", WindowWidth="201")
    levels = grey(content)
    # Ramp from -100 to 100: stored 900, 1000, 1100 are -100, 0, 100.
    assert levels[:11] == [0] * 11
    assert levels[11] == 128
    assert levels[12:] == [255] * 19
    assert decode_dicom(content).rendering == "window from tags"


def test_the_first_of_several_windows_is_taken() -> None:
    several = dicom(CT, **HU, WindowCenter=["40", "-600"], WindowWidth=["400", "1500"])
    assert grey(several) == grey(dicom(CT, **HU, WindowCenter="40", WindowWidth="400"))


def test_the_windows_function_is_honoured() -> None:
    linear, exact, sigmoid = (
        grey(dicom(CT, WindowCenter="1000", WindowWidth="1000", VOILUTFunction=function))
        for function in ("LINEAR", "LINEAR_EXACT", "SIGMOID")
    )
    assert exact[11] == 128
    assert sigmoid[11] == 128
    assert linear[16] == exact[16] == 255
    assert sigmoid[16] == round(255 / (1 + np.exp(-2)))


@pytest.mark.parametrize("width", ["0", "-5", "0.5"])
def test_an_impossible_window_is_passed_over(width: str) -> None:
    decoded = decode_dicom(dicom(CT, WindowCenter="40", WindowWidth=width))
    assert decoded.rendering == "window at percentiles 0.5 and 99.5"


def test_the_callers_window_comes_before_the_tags() -> None:
    content = dicom(CT, **HU, WindowCenter="40", WindowWidth="400")
    assert grey(content, window=Window(500, 1000))[11:22] == [
        round(255 * step / 10) for step in range(11)
    ]
    assert decode_dicom(content, window=Window(500, 1000)).rendering == "window as asked"


def test_monochrome1_is_the_negative_under_the_same_window() -> None:
    window = {"WindowCenter": "400", "WindowWidth": "900"}
    positive = decode_dicom(dicom(CT, **window))
    negative = decode_dicom(dicom(CT, **window, PhotometricInterpretation="MONOCHROME1"))
    assert np.array_equal(negative.pixels, 255 - positive.pixels)
    assert negative.rendering == "window from tags; inverted (MONOCHROME1)"


def test_padding_does_not_set_the_window() -> None:
    padded = CT.copy()
    padded[0, :] = -2000
    decoded = decode_dicom(dicom(padded, PixelPaddingValue=-2000))
    assert decoded.pixels[1, 15, 0] == pytest.approx(128, abs=2)
    ranged = decode_dicom(dicom(padded, PixelPaddingValue=-2000, PixelPaddingRangeLimit=-1500))
    assert np.array_equal(ranged.pixels, decoded.pixels)


def test_a_picture_of_padding_alone_still_opens() -> None:
    decoded = decode_dicom(dicom(np.full((4, 4), -5, np.int16), PixelPaddingValue=-5))
    assert decoded.rendering == "full range"
    assert decoded.pixels.max() == 0


def test_a_negative_slope_keeps_its_meaning() -> None:
    assert grey(dicom(CT, RescaleSlope="-1", RescaleIntercept="0")) == grey(dicom(CT))[::-1]


def test_a_slope_of_zero_is_broken() -> None:
    with pytest.raises(BrokenImage, match="slope"):
        decode_dicom(dicom(CT, RescaleSlope="0", RescaleIntercept="0"))


def lut(first: int, values: list[int], bits: int) -> Dataset:
    item = Dataset()
    item.LUTDescriptor = [len(values), first, bits]
    item["LUTDescriptor"].VR = "US"
    item.add_new("LUTData", "OW", struct.pack(f"<{len(values)}H", *values))
    return item


def test_a_voi_lut_is_looked_up_and_scaled_to_eight_bits() -> None:
    stored = np.array([[0, 1, 2, 3, 9]], np.uint16)
    decoded = decode_dicom(dicom(stored, VOILUTSequence=[lut(0, [0, 4095, 0, 2048], 12)]))
    assert decoded.pixels[0, :, 0].tolist() == [0, 255, 0, 128, 128]
    assert decoded.rendering == "VOI LUT from tags"


def test_a_modality_lut_comes_before_the_window() -> None:
    stored = np.array([[0, 1, 2]], np.uint16)
    item = lut(0, [1000, 0, 500], 16)
    item.ModalityLUTType = "US"
    content = dicom(
        stored,
        ModalityLUTSequence=[item],
        WindowCenter="500",
        WindowWidth="1000",
        VOILUTFunction="LINEAR_EXACT",
    )
    assert grey(content) == [255, 0, 128]


@pytest.mark.parametrize("kind", [np.uint8, np.int8, np.uint16, np.int16, np.uint32, np.int32])
def test_every_integer_type_is_read(kind: Any) -> None:
    stored = np.arange(100).reshape(10, 10).astype(kind)
    decoded = decode_dicom(dicom(stored, WindowCenter="50", WindowWidth="100"))
    assert decoded.pixels[0, 0, 0] == 0
    assert decoded.pixels[9, 9, 0] == 255


def test_an_enhanced_object_takes_the_values_of_its_first_frame() -> None:
    frames = np.stack([CT, CT + 1]).astype(np.int16)
    groups = []
    for center in ("100", "900"):
        voi, measures, group = Dataset(), Dataset(), Dataset()
        voi.WindowCenter, voi.WindowWidth = center, "400"
        measures.PixelSpacing = ["0.5", "0.25"]
        group.FrameVOILUTSequence, group.PixelMeasuresSequence = [voi], [measures]
        groups.append(group)
    content = dicom(frames, NumberOfFrames=2, PerFrameFunctionalGroupsSequence=groups)
    decoded = decode_dicom(content)
    assert grey(content) == grey(dicom(CT, WindowCenter="100", WindowWidth="400"))
    assert decoded.spacing == Spacing(row_mm=0.5, column_mm=0.25, source="PixelSpacing")
    assert decoded.rendering == "window from tags; frame 1 of 2"


# Colour.


def test_rgb_comes_back_as_it_was() -> None:
    decoded = decode_dicom(dicom(picture()))
    assert np.array_equal(decoded.pixels, picture())
    assert decoded.rendering == "identity"


def test_planes_of_colour_come_back_as_a_picture() -> None:
    dataset = dicom_dataset(picture(), PlanarConfiguration=1)
    dataset.PixelData = picture().transpose(2, 0, 1).tobytes()
    assert np.array_equal(decode_dicom(dicom_bytes(dataset)).pixels, picture())


def test_ybr_becomes_rgb() -> None:
    ybr = np.asarray(Image.fromarray(picture()).convert("YCbCr"))
    decoded = decode_dicom(dicom(ybr, PhotometricInterpretation="YBR_FULL"))
    assert np.abs(decoded.pixels.astype(int) - picture()).max() <= 3
    assert decoded.rendering == "YBR to RGB"


def test_deep_colour_keeps_its_high_bits() -> None:
    decoded = decode_dicom(dicom(picture().astype(np.uint16) * 16, BitsStored=12, HighBit=11))
    assert np.array_equal(decoded.pixels, picture())
    assert decoded.rendering == "high byte of 16-bit samples"


@pytest.mark.parametrize(("bits", "scale"), [(16, 256), (8, 1)])
def test_a_palette_gives_its_colours(bits: int, scale: int) -> None:
    stored = np.array([[0, 1, 2, 7]], np.uint8)
    code = "H" if bits == 16 else "B"
    tables = {"Red": [0, 10, 255, 0], "Green": [0, 20, 0, 0], "Blue": [0, 30, 128, 9]}
    attributes: dict[str, Any] = {"PhotometricInterpretation": "PALETTE COLOR"}
    for colour, values in tables.items():
        attributes[f"{colour}PaletteColorLookupTableDescriptor"] = [4, 0, bits]
        attributes[f"{colour}PaletteColorLookupTableData"] = struct.pack(
            f"<4{code}", *(value * scale for value in values)
        )
    decoded = decode_dicom(dicom(stored, **attributes))
    assert decoded.pixels[0].tolist() == [[0, 0, 0], [10, 20, 30], [255, 0, 128], [0, 0, 9]]
    assert decoded.rendering == "palette colour"


def test_an_unknown_photometric_is_refused_without_being_repeated() -> None:
    with pytest.raises(UnsupportedImage) as caught:
        decode_dicom(dicom(CT, PhotometricInterpretation="DOE JANE"))
    assert "DOE" not in str(caught.value)


# Transfer syntaxes.


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRBigEndian])
def test_every_uncompressed_syntax_gives_the_same_picture(syntax: Any) -> None:
    dataset = dicom_dataset(CT, WindowCenter="500", WindowWidth="1000")
    dataset.file_meta.TransferSyntaxUID = syntax
    if syntax == ExplicitVRBigEndian:
        dataset.PixelData = CT.astype(">i2").tobytes()
    expected = decode_dicom(dicom(CT, WindowCenter="500", WindowWidth="1000"))
    assert np.array_equal(decode_dicom(dicom_bytes(dataset)).pixels, expected.pixels)


@pytest.mark.parametrize("syntax", [RLELossless, JPEG2000Lossless])
@pytest.mark.parametrize("pixels", [TALL_CT, picture(64, 64)], ids=["grey", "colour"])
def test_every_lossless_syntax_gives_the_same_picture(syntax: Any, pixels: Any) -> None:
    dataset = dicom_dataset(pixels)
    if syntax == JPEG2000Lossless and pixels.ndim == 3:
        dataset.PhotometricInterpretation = "YBR_RCT"
    expected = decode_dicom(dicom(pixels)).pixels
    dataset.compress(syntax, pixels, generate_instance_uid=False)
    assert np.array_equal(decode_dicom(dicom_bytes(dataset)).pixels, expected)


def test_the_first_of_several_jpeg_frames_is_taken() -> None:
    jpegs = [save(Image.fromarray(np.full((16, 16, 3), v, np.uint8)), "jpeg") for v in (40, 200)]
    like = np.zeros((2, 16, 16, 3), np.uint8)
    content = dicom_jpeg(jpegs, like, NumberOfFrames=2, PhotometricInterpretation="YBR_FULL_422")
    decoded = decode_dicom(content)
    assert np.abs(decoded.pixels.astype(int) - 40).max() <= 2
    assert decoded.rendering == "YBR to RGB; frame 1 of 2"


def test_a_deflated_file_is_inflated_within_the_limit() -> None:
    dataset = dicom_dataset(CT)
    dataset.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    content = dicom_bytes(dataset)
    assert np.array_equal(decode_dicom(content).pixels, decode_dicom(dicom(CT)).pixels)
    with pytest.raises(ImageTooLarge, match="inflates"):
        decode_dicom(content, Limits(max_bytes=100))
    with pytest.raises(BrokenImage, match="ends early"):
        decode_dicom(content[:-4])


def test_a_video_syntax_is_refused_by_name() -> None:
    content = dicom(CT).replace(b"1.2.840.10008.1.2.1\x00", b"1.2.840.10008.1.2.4.102")
    with pytest.raises((UnsupportedImage, BrokenImage)):
        decode_dicom(content)


def test_a_private_syntax_is_not_repeated() -> None:
    dataset = dicom_dataset(CT)
    content = dicom_bytes(dataset).replace(b"1.2.840.10008.1.2.1\x00", b"1.2.111.222.333.4.5\x00")
    with pytest.raises(UnsupportedImage) as caught:
        decode_dicom(content)
    assert "333" not in str(caught.value)


# What must be refused.


def test_short_pixel_data_is_broken() -> None:
    dataset = dicom_dataset(CT)
    dataset.PixelData = dataset.PixelData[:-2]
    with pytest.raises(BrokenImage, match="bytes of pixel data"):
        decode_dicom(dicom_bytes(dataset))


def test_frames_that_are_not_there_are_broken() -> None:
    with pytest.raises(BrokenImage, match="bytes of pixel data"):
        decode_dicom(dicom(CT[None], NumberOfFrames=1_000_000))


def test_a_size_over_the_limit_is_refused_by_the_attributes() -> None:
    with pytest.raises(ImageTooLarge):
        decode_dicom(dicom(CT, Rows=65_535, Columns=65_535))
    with pytest.raises(ImageTooLarge):
        decode_dicom(dicom(CT), Limits(max_pixels=CT.size - 1))


@pytest.mark.parametrize("keyword", ["Rows", "Columns", "BitsAllocated"])
def test_a_missing_size_is_broken(keyword: str) -> None:
    dataset = dicom_dataset(CT)
    delattr(dataset, keyword)
    with pytest.raises(BrokenImage, match=keyword):
        decode_dicom(dicom_bytes(dataset))


def test_samples_that_contradict_the_photometric_are_broken() -> None:
    with pytest.raises(BrokenImage, match="samples"):
        decode_dicom(dicom(CT, PhotometricInterpretation="RGB"))


@pytest.mark.parametrize("size", [(32, 16), (16, 32), (4000, 4000)])
def test_an_inner_jpeg_of_another_size_is_refused(size: tuple[int, int]) -> None:
    jpeg = save(Image.new("RGB", size), "jpeg")
    like = np.zeros((16, 16, 3), np.uint8)
    with pytest.raises(BrokenImage, match=f"{size[0]} x {size[1]} x 3"):
        decode_dicom(dicom_jpeg([jpeg], like, PhotometricInterpretation="YBR_FULL_422"))


def test_an_inner_jpeg_2000_of_another_size_is_refused() -> None:
    dataset = dicom_dataset(TALL_CT)
    dataset.compress(JPEG2000Lossless, TALL_CT, generate_instance_uid=False)
    dataset.Columns = 30
    with pytest.raises(BrokenImage, match="62 x 64 x 1"):
        decode_dicom(dicom_bytes(dataset))


def test_a_run_length_bomb_is_refused_before_it_unpacks() -> None:
    dataset = dicom_dataset(np.zeros((64, 64), np.uint8))
    dataset.file_meta.TransferSyntaxUID = RLELossless
    frame = struct.pack("<16I", 1, 64, *([0] * 14)) + b"\x81\x00" * 4000
    dataset.PixelData = encapsulate([frame])
    dataset["PixelData"].is_undefined_length = True
    with pytest.raises(BrokenImage, match="run-length"):
        decode_dicom(dicom_bytes(dataset))


def test_a_segmentation_is_refused_as_what_it_is() -> None:
    with pytest.raises(UnsupportedImage, match="masks"):
        decode_dicom(dicom(CT, SOPClassUID=SegmentationStorage))


def test_an_object_without_a_picture_is_unsupported() -> None:
    dataset = dicom_dataset(CT)
    for keyword in ("PixelData", "Rows", "Columns"):
        delattr(dataset, keyword)
    with pytest.raises(UnsupportedImage, match="no picture"):
        decode_dicom(dicom_bytes(dataset))


def test_attributes_over_the_limit_are_refused() -> None:
    content = dicom(CT, ImageComments="x" * 9000)
    assert decode_dicom(content).pixels.shape == (4, 31, 3)
    with pytest.raises(ImageTooLarge, match="attributes"):
        decode_dicom(content, Limits(max_header_bytes=4000))


def test_more_sequence_items_than_any_header_has_are_refused() -> None:
    content = dicom(CT, SequenceOfUltrasoundRegions=[region(0.05) for _ in range(30)])
    assert decode_dicom(content).spacing is not None
    with pytest.raises(ImageTooLarge, match="30 DICOM sequence items"):
        decode_dicom(content, Limits(max_items=29))


def test_every_cut_is_refused() -> None:
    content = dicom(CT, WindowCenter="40", WindowWidth="400")
    for length in range(132, len(content), 7):
        with pytest.raises((BrokenImage, UnsupportedImage)):
            decode_dicom(content[:length])


# Spacing, modality, privacy.


def test_the_spacing_says_which_tag_it_came_from() -> None:
    both = {"PixelSpacing": ["0.5", "0.25"], "ImagerPixelSpacing": ["0.6", "0.3"]}
    assert decode_dicom(dicom(CT, **both)).spacing == Spacing(
        row_mm=0.5, column_mm=0.25, source="PixelSpacing"
    )
    del both["PixelSpacing"]
    assert decode_dicom(dicom(CT, **both)).spacing == Spacing(
        row_mm=0.6, column_mm=0.3, source="ImagerPixelSpacing"
    )
    assert decode_dicom(dicom(CT)).spacing is None


def region(delta_cm: float, *, units: int = 3) -> Dataset:
    item = Dataset()
    item.RegionSpatialFormat = 1
    item.PhysicalUnitsXDirection = item.PhysicalUnitsYDirection = units
    item.PhysicalDeltaX, item.PhysicalDeltaY = delta_cm, -2 * delta_cm
    return item


@pytest.mark.parametrize(
    ("regions", "row_mm"),
    [
        ([region(0.05)], 1.0),
        ([region(0.05), region(0.05)], 1.0),
        ([region(0.05), region(0.07)], None),
        ([region(0.05, units=4)], None),
    ],
    ids=["one", "two alike", "two that differ", "not in centimetres"],
)
def test_ultrasound_regions_give_the_spacing_if_they_agree(
    regions: list[Dataset], row_mm: float | None
) -> None:
    spacing = decode_dicom(dicom(CT, SequenceOfUltrasoundRegions=regions)).spacing
    assert (spacing.row_mm if spacing else None) == row_mm
    assert spacing is None or spacing.source == "SequenceOfUltrasoundRegions"


@pytest.mark.parametrize("value", [["0", "0.5"], ["-1", "1"], ["0.5"]])
def test_an_impossible_spacing_is_none(value: list[str]) -> None:
    assert decode_dicom(dicom(CT, PixelSpacing=value)).spacing is None


@pytest.mark.parametrize(("value", "code"), [("US", "US"), ("DOE JANE", None), ("", None)])
def test_only_a_modality_code_is_passed_on(value: str, code: str | None) -> None:
    assert decode_dicom(dicom(CT, Modality=value)).modality == code


def test_no_result_names_the_patient() -> None:
    decoded = decode_dicom(dicom(CT))
    shown = f"{decoded.modality} {decoded.spacing} {decoded.rendering} {decoded.format}"
    assert PATIENT not in shown
    assert "4711" not in shown


# The samples: real files.


def test_monochrome1_sample_is_the_negative_of_its_twin(sample: Sample) -> None:
    window = Window(1000, 800)
    twin = decode_dicom(sample("dicom/ct_single_128.dcm"), window=window)
    turned = decode_dicom(sample("dicom/ct_single_128_monochrome1_made.dcm"), window=window)
    assert np.array_equal(turned.pixels, 255 - twin.pixels)
    assert decode_dicom(sample("dicom/ct_single_128_monochrome1_made.dcm")).pixels.mean() > 250


def test_run_length_sample_equals_its_uncompressed_twin(sample: Sample) -> None:
    plain = decode_dicom(sample("dicom/mr_single_64.dcm"))
    packed = decode_dicom(sample("dicom/mr_single_64_rle.dcm"))
    assert np.array_equal(plain.pixels, packed.pixels)
    assert plain.modality == "MR"


def test_the_ct_series_shows_soft_tissue_inside_and_black_outside(sample: Sample) -> None:
    for number in (1, 2, 3):
        decoded = decode_dicom(sample(f"dicom/series_ct_3/{number:02d}.dcm"))
        assert decoded.rendering == "window from tags"
        assert decoded.pixels[0, 0, 0] == 0
        liver = decoded.pixels[220:280, 130:190, 0]
        assert 130 < liver.mean() < 200


def test_the_mr_series_opens(sample: Sample) -> None:
    for number in range(8):
        decoded = decode_dicom(sample(f"dicom/series_mr_prostate_adc_8/{number:02d}.dcm"))
        assert decoded.pixels.shape == (256, 256, 3)
        assert 30 < decoded.pixels.mean() < 80


def test_the_ultrasound_frames_have_their_colours_and_spacing(sample: Sample) -> None:
    cine = decode_dicom(sample("dicom/us_multiframe_30_ybr_jpeg.dcm"))
    assert cine.rendering == "YBR to RGB; frame 1 of 30"
    assert cine.spacing is not None
    assert cine.spacing.row_mm == pytest.approx(0.5105, abs=1e-4)
    # Tissue is grey: converted twice or not at all it would be green or pink.
    assert np.ptp(cine.pixels[60:180, 100:220].reshape(-1, 3).mean(axis=0)) < 3


def test_the_same_scan_looks_the_same_uncompressed_and_as_jpeg_2000(sample: Sample) -> None:
    small = decode_dicom(sample("dicom/us_rgb_320x240.dcm")).pixels
    large = decode_dicom(sample("dicom/us_rgb_640x480_jpeg2000.dcm")).pixels
    shrunk = np.asarray(Image.fromarray(large).resize((320, 240), Image.Resampling.BOX))
    assert np.corrcoef(shrunk.ravel(), small.ravel())[0, 1] > 0.85


def test_the_segmentation_sample_is_refused(sample: Sample) -> None:
    with pytest.raises(UnsupportedImage, match="masks"):
        decode_dicom(sample("dicom/series_ct_3_liver_SEG.dcm"))
