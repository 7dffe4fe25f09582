import gzip
import io
import struct
import zipfile

import numpy as np
import pytest
from PIL import Image

from segmenter.errors import UnsupportedImage
from segmenter.formats.limits import Limits
from segmenter.formats.sequences import open_frames
from segmenter.formats.sniff import sniff
from tests.segmenter.formats.build import dicom, picture, save


def zipped(files: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return stream.getvalue()


@pytest.mark.parametrize("name", ["png", "jpeg", "tiff", "webp", "bmp", "gif"])
def test_a_raster_format_is_known_by_its_content(name: str) -> None:
    assert sniff(save(Image.fromarray(picture()), name)) == name


def test_a_dicom_file_is_known_by_its_prefix() -> None:
    assert sniff(dicom(np.zeros((4, 4), np.uint8))) == "dicom"


def test_a_dicom_preamble_may_look_like_a_tiff() -> None:
    content = dicom(np.zeros((4, 4), np.uint8))
    assert sniff(b"II*\x00" + content[4:]) == "dicom"


VIDEO = "send it to POST /segment/volume \\(medsam3 segment FILE --prompt WORDS\\)"
STRANGERS = [
    (b"PK\x03\x04rest", f"a ZIP archive: {VIDEO}"),
    (b"PK\x03\x04" + bytes(26) + b"[Content_Types].xml", "an Office document: export the picture"),
    (b"PK\x03\x04" + bytes(26) + b"word/document.xml", "an Office document"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an Office document"),
    (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "an SVG drawing: export it as PNG"),
    (b"<?xml version='1.0'?>\n<svg/>", "an SVG drawing"),
    (b"<?xml version='1.0'?>\n<report/>", "XML text; PNG"),
    (b"<!DOCTYPE html><html>", "an HTML page: send the picture itself"),
    (b"%PDF-1.7", "a PDF document: export the picture in it as PNG or DICOM; PNG"),
    (b"8BPS", "a Photoshop document"),
    (b"\x1f\x8b\x08", "a gzip file that holds no NIfTI volume: unpack it"),
    (gzip.compress(struct.pack("<i", 348) + bytes(400)), f"a NIfTI volume: {VIDEO}"),
    (bytes(344) + b"n+1\x00", f"a NIfTI volume: {VIDEO}"),
    (struct.pack(">i", 348) + bytes(400), f"a NIfTI volume: {VIDEO}"),
    (b"NRRD0005\n", f"an NRRD volume: {VIDEO}"),
    (b"ObjectType = Image\n", f"a MetaImage volume: {VIDEO}"),
    (b"\x00\x00\x00\x18ftypmp42", f"an MP4 video: {VIDEO}"),
    (b"\x00\x00\x00\x14ftypqt  ", f"a QuickTime video: {VIDEO}"),
    (b"RIFF\x00\x00\x00\x00AVI LIST", f"an AVI video: {VIDEO}"),
    (b"\x1a\x45\xdf\xa3\x01\x00\x42\x82\x84webm", f"a WebM video: {VIDEO}"),
    (b"\x1a\x45\xdf\xa3matroska", f"a Matroska video: {VIDEO}"),
    (b"\x00\x00\x01\xba", f"an MPEG video: {VIDEO}"),
    ((b"\x47" + bytes(187)) * 3, f"an MPEG transport stream: {VIDEO}"),
    (bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c"), f"a Windows Media video: {VIDEO}"),
    (b"FLV\x01", f"a Flash video: {VIDEO}"),
    (b"OggS", f"an Ogg video: {VIDEO}"),
    (b"ZISRAWFILE", "a Zeiss CZI file: export it as OME-TIFF"),
    (b"\x89HDF\r\n", "an HDF5 or MINC file: convert it to NIfTI"),
    (b"P5\n4 4\n255\n", "a PNM picture: export it as PNG"),
    (b"RIFF\x00\x00\x00\x00WAVE", "a sound file; PNG"),
    (b"\x07\x08 noise", "no image format known here; PNG, JPEG, TIFF, WebP, BMP, GIF, JPEG 2000"),
    (b"\x89PN", "no image format"),
    (b"a letter", "a text file: send the picture or volume itself; PNG"),
    (b"\xef\xbb\xbfa letter", "a text file"),
    ("Größe in mm: 4".encode("latin-1"), "a text file"),
    ("Größe in mm: 4".encode("utf-16"), "a text file"),
    (b'{"a": 1}', "a text file"),
    (b"data:image/png;base64,iVBO", "a data URI: send it in a JSON body"),
    (b"\x00\x00\x01\x00\x02\x00\x03\x00" * 8, "no image format"),
    (b"\x00\x00\x00\x01\x67\x42", "a raw H.264 stream: put it in an MP4 file"),
    (b"\x89PNG\n\x1a\n", "a PNG picture that was changed on its way"),
    (b"\0\0\0\x18ftypcrx \0\0\0\1", "the raw picture of a camera: export it"),
    (b"\0\0\0\x18ftypM4A \0\0\0\0", "a sound file"),
    (b"PK\x05\x06" + bytes(18), "a ZIP archive with nothing in it"),
    (
        gzip.compress(b"ObjectType = Image\nNDims = 3\nDimSize = 4 4 4\n"),
        "a gzip file with a MetaImage volume in it: unpack it and send it to POST /segment/volume",
    ),
    (gzip.compress(b"NRRD0004\n"), "a gzip file with an NRRD volume in it: unpack it"),
    (gzip.compress(bytes(257) + b"ustar"), "a tar archive: send its files"),
    (
        gzip.compress(struct.pack(">7i", 1, 4, 4, 4, 1, 0, 0) + bytes(256)),
        "a FreeSurfer volume: convert it to NIfTI",
    ),
]


@pytest.mark.parametrize(("content", "words"), STRANGERS)
def test_what_is_not_read_is_refused_by_name(content: bytes, words: str) -> None:
    with pytest.raises(UnsupportedImage, match=f"this is {words}"):
        sniff(content)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"%PDF-1.7", "a PDF document: export the picture in it as PNG or DICOM; NIfTI, NRRD"),
        (b"\x07\x08 noise", r"content of no format known here; voxels .* need .*; NIfTI, NRRD"),
        (b"ObjectType = Mesh\nNDims = 3\n", "a MetaIO file that describes no picture"),
        (zipped({"word/document.xml": b"<x/>"}), "an Office document: export the picture in it"),
        (zipped({"in.zip": zipped({"a.nii": b""})}), "a ZIP archive within another: unpack it"),
        (b"\0\0\0\x18ftypavis\0\0\0\0", "a sequence of pictures .avif.,.* convert it to MP4"),
        (b"MZ\x90\0", "a Windows program; NIfTI"),
    ],
)
def test_the_route_of_sequences_lists_what_it_reads(content: bytes, words: str) -> None:
    with pytest.raises(UnsupportedImage, match=f"this is {words}"):
        open_frames(content, Limits())


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (b"\x00\x00\x00\x0cjP  \r\n\x87\n", "jpeg2000"),
        (b"\xff\x4f\xff\x51", "jpeg2000"),
        (b"\xff\xd8\xff\xf7", "jpeg-ls"),
        (b"\xff\x0a", "jpeg-xl"),
        (b"\x00\x00\x00\x0cJXL \r\n\x87\n", "jpeg-xl"),
        (b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic", "heic"),
        (b"\x00\x00\x00\x18ftypmif1\x00\x00\x00\x00mif1heic", "heic"),
        (b"\x00\x00\x00\x18ftypmif1\x00\x00\x00\x00mif1avif", "avif"),
        (b"\x00\x00\x00\x18ftypavis\x00\x00\x00\x00mif1", "avif"),
    ],
)
def test_a_codestream_is_known_by_its_content(content: bytes, name: str) -> None:
    assert sniff(content) == name


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
