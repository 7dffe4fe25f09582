"""Cases that came out wrong: their right values, worked out here without our readers."""

from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pydicom import dcmread
from pydicom.encaps import get_frame

from segmenter.formats.decode import decode
from tests.paths import SHARED


def case(name: str) -> Path:
    path = SHARED / "cases" / name
    if not path.exists():
        pytest.skip(f"no case {path} (set MEDSAM3_SHARED)")
    return path


def stored_words(path: Path) -> tuple[Any, Any]:
    """The attributes, and the words of the pixel data as they are: int64, shape (H, W)."""
    header: Any = dcmread(path)
    words = np.frombuffer(header.PixelData, "<u2")[: header.Rows * header.Columns]
    return header, words.reshape(header.Rows, header.Columns).astype(np.int64)


def levels_apart(path: Path, expected: Any) -> int:
    """The largest difference from what is expected, grey (H, W) or colours (H, W, 3)."""
    shown = decode(path.read_bytes()).pixels.astype(int)
    wanted = expected if expected.ndim == 3 else np.repeat(expected[..., None], 3, axis=2)
    return int(np.abs(shown - wanted).max())


def test_a_voi_lut_of_4096_entries_of_8_bits_shows_the_x_ray() -> None:
    path = case("voilut_8bit/dx.dcm")
    header, words = stored_words(path)
    assert header.VOILUTSequence[0].LUTDescriptor[2] == 8
    assert levels_apart(path, np.rint(words / 4095 * 255)) <= 1


def test_ten_bits_below_bit_11_show_the_x_ray() -> None:
    path = case("bitsstored10_highbit11/cr.dcm")
    header, words = stored_words(path)
    assert (header.BitsStored, header.HighBit) == (10, 11)
    # LINEAR: PS3.3, C.11.2.1.2.1.
    share = ((words >> 2) - (header.WindowCenter - 0.5)) / (header.WindowWidth - 1) + 0.5
    assert levels_apart(path, np.rint(np.clip(share, 0, 1) * 255)) <= 1


def test_a_jpeg_2000_that_undoes_its_transform_has_its_colours_under_a_ybr_tag() -> None:
    path = case("j2k_mct_tag_ybr_full/j2k.dcm")
    truth = np.asarray(Image.open(case("j2k_mct_tag_ybr_full/truth.png")).convert("RGB"))
    assert levels_apart(path, truth.astype(int)) <= 1


def test_a_jpeg_of_components_r_g_b_is_read() -> None:
    path = case("jpeg_rgb_component_ids/E3f_jpg_rgb_nomarker_idsRGB_tag_RGB.dcm")
    frame = get_frame(dcmread(path).PixelData, 0, number_of_frames=1)
    assert levels_apart(path, np.asarray(Image.open(BytesIO(frame))).astype(int)) <= 1


@pytest.mark.parametrize(
    "name", ["F1_no_meta_explicit", "F1_no_meta_implicit", "F1_preamble_no_meta_implicit"]
)
def test_a_data_set_without_file_meta_is_read(name: str) -> None:
    path = case(f"no_meta/{name}.dcm")
    header: Any = dcmread(path, force=True)
    assert "TransferSyntaxUID" not in header.file_meta
    decoded = decode(path.read_bytes())
    assert decoded.pixels.mean() == pytest.approx(76.9, abs=0.1)
    assert decoded.rendering.startswith("no transfer syntax stated, read as ")


def test_a_sample_without_preamble_shows_the_picture_of_its_twin() -> None:
    bare = SHARED / "samples" / "broken" / "dicom_no_preamble.dcm"
    if not bare.exists():
        pytest.skip(f"no sample {bare} (set MEDSAM3_SHARED)")
    decoded = decode(bare.read_bytes())
    assert decoded.pixels.shape == (128, 128, 3)
    assert decoded.pixels.mean() > 50
