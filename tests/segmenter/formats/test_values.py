"""What a file stores, beside what is shown of it."""

from io import BytesIO

import numpy as np
import numpy.typing as npt
import pytest
import tifffile
from PIL import Image

from segmenter.contract import PixelValues
from segmenter.formats.decode import decode, read_header
from tests.segmenter.formats.build import dicom, picture, save

# Stored 0, 50, 100, ...: with an intercept of -1000 this is air to bone.
STORED = (np.arange(40, dtype=np.int16) * 50).reshape(1, 40).repeat(24, axis=0)
RESCALE = {"RescaleSlope": "2", "RescaleIntercept": "-1000"}
DEEP = (np.arange(24 * 40, dtype=np.uint16) * 7).reshape(24, 40)


def values(content: bytes) -> PixelValues | None:
    read = read_header(content).values
    return None if read is None else read()


def sure(content: bytes) -> PixelValues:
    found = values(content)
    assert found is not None
    return found


def tiff(pixels: npt.NDArray[np.number], **options) -> bytes:
    stream = BytesIO()
    tifffile.imwrite(stream, pixels, **options)
    return stream.getvalue()


@pytest.mark.parametrize(
    "attributes",
    [
        pytest.param(RESCALE | {"RescaleType": "HU"}, id="its type"),
        pytest.param(RESCALE, id="CT, which needs no type"),
        pytest.param(RESCALE | {"RescaleType": "HU", "Modality": "OT"}, id="the type of another"),
    ],
)
def test_a_rescaled_ct_gives_hounsfield_units_whatever_its_window(attributes) -> None:
    found = sure(dicom(STORED, **attributes, WindowCenter="40", WindowWidth="400"))
    assert (found.unit, found.pixels.dtype) == ("HU", np.float32)
    assert np.array_equal(found.pixels, STORED * 2.0 - 1000)


@pytest.mark.parametrize(
    "attributes",
    [
        pytest.param(RESCALE | {"Modality": "MR"}, id="another modality"),
        pytest.param({}, id="CT without rescaling"),
        pytest.param(RESCALE | {"RescaleType": "US"}, id="CT of an unspecified unit"),
    ],
)
def test_what_is_not_said_to_be_hounsfield_stays_as_it_is_stored(attributes) -> None:
    found = sure(dicom(STORED, **attributes))
    assert found.unit == "stored value"
    assert np.array_equal(found.pixels, STORED)


def test_padding_has_no_value() -> None:
    found = sure(dicom(STORED, **RESCALE, PixelPaddingValue=0))
    assert np.isnan(found.pixels[:, 0]).all()
    assert np.array_equal(found.pixels[:, 1:], STORED[:, 1:] * 2.0 - 1000)


def test_white_that_is_low_changes_no_value() -> None:
    found = sure(dicom(STORED, PhotometricInterpretation="MONOCHROME1"))
    assert np.array_equal(found.pixels, STORED)


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(save(Image.fromarray(DEEP), "PNG"), id="png"),
        pytest.param(tiff(DEEP), id="tiff"),
        pytest.param(save(Image.fromarray(DEEP), "JPEG2000", irreversible=False), id="jpeg2000"),
    ],
)
def test_deep_grey_pictures_give_what_they_store(content) -> None:
    found = sure(content)
    assert (found.unit, found.pixels.dtype) == ("stored value", np.float32)
    assert np.array_equal(found.pixels, DEEP)


def test_floats_of_a_tiff_stay_what_they_are() -> None:
    floats = DEEP.astype(np.float32) / 3 - 5
    assert np.array_equal(sure(tiff(floats)).pixels, floats)


def test_a_turned_picture_has_its_values_where_its_pixels_are() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    content = save(Image.fromarray(DEEP), "PNG", exif=exif)
    shown = decode(content).pixels[:, :, 0]
    found = sure(content).pixels
    assert found.shape == shown.shape == (40, 24)
    assert np.array_equal(found, np.rot90(DEEP, -1))
    turned = tiff(DEEP, extratags=[(274, 3, 1, 6, True)])
    assert np.array_equal(sure(turned).pixels, np.rot90(DEEP, -1))


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(save(Image.fromarray(picture()), "PNG"), id="png in colour"),
        pytest.param(save(Image.fromarray(picture()[:, :, 0]), "PNG"), id="grey png of 8 bits"),
        pytest.param(save(Image.fromarray(picture()), "JPEG"), id="jpeg"),
        pytest.param(tiff(picture(), photometric="rgb"), id="tiff in colour"),
        pytest.param(dicom(picture(), Modality="US"), id="dicom in colour"),
    ],
)
def test_what_is_shown_as_it_is_stored_has_no_other_values(content) -> None:
    assert values(content) is None
