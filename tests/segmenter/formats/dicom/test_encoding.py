"""Where attributes begin and how they are written, whatever the file says of itself."""

import numpy as np
import pytest
from pydicom import uid

from benchmarks.intake.files import dataset, plain, renamed, without_meta, written
from segmenter.errors import BrokenImage, ImageTooLarge, UnsupportedImage
from segmenter.formats.decode import decode
from segmenter.formats.dicom.image import decode_dicom
from segmenter.formats.limits import Limits

STORED = np.arange(64, dtype=np.uint16).reshape(8, 8) * 16
WINDOW = {"WindowCenter": "500", "WindowWidth": "1000"}
EXPLICIT = plain(STORED, **WINDOW)
IMPLICIT = written(dataset(STORED, **WINDOW), uid.ImplicitVRLittleEndian)
BIG = written(dataset(STORED.astype(">u2"), **WINDOW), uid.ExplicitVRBigEndian)
SHOWN = decode_dicom(EXPLICIT).pixels


@pytest.mark.parametrize("preamble", [False, True])
@pytest.mark.parametrize(
    ("content", "name"),
    [
        (EXPLICIT, "Explicit VR Little Endian"),
        (IMPLICIT, "Implicit VR Little Endian"),
        (BIG, "Explicit VR Big Endian"),
    ],
    ids=["explicit", "implicit", "big endian"],
)
def test_a_data_set_without_file_meta_is_read_as_it_is_written(
    content: bytes, name: str, preamble: bool
) -> None:
    decoded = decode(without_meta(content, preamble=preamble))
    assert np.array_equal(decoded.pixels, SHOWN)
    assert decoded.rendering == f"no transfer syntax stated, read as {name}; window from tags"


@pytest.mark.parametrize("start", [128, 132])
def test_a_file_without_preamble_is_read_by_its_file_meta(start: int) -> None:
    decoded = decode(EXPLICIT[start:])
    assert np.array_equal(decoded.pixels, SHOWN)
    assert decoded.rendering == "window from tags"


def test_attributes_in_another_encoding_than_stated_are_read_and_it_is_said() -> None:
    lying = renamed(EXPLICIT, uid.ExplicitVRLittleEndian, uid.ImplicitVRLittleEndian)
    decoded = decode(lying)
    assert np.array_equal(decoded.pixels, SHOWN)
    assert "not as the file meta information says" in decoded.rendering


def test_every_cut_of_a_bare_data_set_is_refused() -> None:
    bare = without_meta(IMPLICIT)
    for length in range(1, len(bare) - 1, 5):
        with pytest.raises((BrokenImage, UnsupportedImage)):
            decode(bare[:length])


def test_a_bare_data_set_is_bound_by_the_limit_of_attributes() -> None:
    bare = without_meta(plain(STORED, ImageComments="x" * 9000))
    assert decode(bare).pixels.shape == (8, 8, 3)
    with pytest.raises(ImageTooLarge, match="attributes"):
        decode(bare, Limits(max_header_bytes=4000))


def test_a_private_transfer_syntax_is_refused_without_its_uid() -> None:
    with pytest.raises(UnsupportedImage) as caught:
        decode(renamed(EXPLICIT, uid.ExplicitVRLittleEndian, "1.2.111.222.333.4"))
    assert "333" not in str(caught.value)
    assert "convert the file" in str(caught.value)
