import numpy as np
import pytest
from PIL import Image

from segmenter.errors import UnsupportedImage
from segmenter.formats.sniff import sniff
from tests.segmenter.formats.build import dicom, picture, save


@pytest.mark.parametrize("name", ["png", "jpeg", "tiff", "webp", "bmp", "gif"])
def test_a_raster_format_is_known_by_its_content(name: str) -> None:
    assert sniff(save(Image.fromarray(picture()), name)) == name


def test_a_dicom_file_is_known_by_its_prefix() -> None:
    assert sniff(dicom(np.zeros((4, 4), np.uint8))) == "dicom"


def test_a_dicom_preamble_may_look_like_a_tiff() -> None:
    content = dicom(np.zeros((4, 4), np.uint8))
    assert sniff(b"II*\x00" + content[4:]) == "dicom"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"PK\x03\x04rest", "ZIP"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "SVG"),
        (b"%PDF-1.7", "PDF"),
        (b"\x1f\x8b\x08", "NIfTI"),
        (bytes(344) + b"n+1\x00", "NIfTI volume: send it to POST /segment/volume"),
        (b"NRRD0004\n", "NRRD volume: send it to POST /segment/volume"),
        (b"ObjectType = Image\n", "MetaImage volume: send it to POST /segment/volume"),
        (b"\x00\x00\x00\x18ftypmp42", "video"),
        (b"a letter", "no image format"),
        (b"\x89PN", "no image format"),
    ],
)
def test_what_is_not_read_is_refused_by_name(content: bytes, words: str) -> None:
    with pytest.raises(UnsupportedImage, match=words):
        sniff(content)


def test_dicom_without_preamble_prefix_or_meta_is_dicom() -> None:
    content = dicom(np.zeros((4, 4), np.uint8))
    attributes = content.index(b"\x08\x00\x16\x00UI")
    for bare in (content[128:], content[132:], content[attributes:]):
        assert sniff(bare) == "dicom"


def test_dicom_with_a_damaged_prefix_is_refused_as_such() -> None:
    content = dicom(np.zeros((4, 4), np.uint8))
    with pytest.raises(UnsupportedImage, match="not DICM"):
        sniff(bytes(128) + b"ABCD" + content[132:])


@pytest.mark.parametrize(
    "content",
    [b"\x08\x00", b"\x08\x00\x05\x00CS\x0a\x00", b"\x08\x00 a text that begins oddly", bytes(200)],
)
def test_a_few_bytes_like_attributes_are_no_dicom(content: bytes) -> None:
    with pytest.raises(UnsupportedImage, match="no image format"):
        sniff(content)


def test_an_error_never_repeats_the_content() -> None:
    with pytest.raises(UnsupportedImage) as caught:
        sniff(b"Jane Doe, born 1970")
    assert "Jane" not in str(caught.value)
