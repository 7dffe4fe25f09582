from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.encaps import get_frame

from segmenter.errors import BrokenImage
from segmenter.formats.dicom.encoded.codestream import read_stream
from segmenter.formats.dicom.encoded.gdcm_process import decode_isolated
from segmenter.formats.dicom.image import decode_dicom
from tests.segmenter.formats.build import dicom, picture

gdcm = pytest.importorskip("gdcm")

GREY = np.arange(4096, dtype=np.uint16).reshape(64, 64)


def packed(pixels: Any, name: str, folder: Path) -> bytes:
    """A DICOM file compressed by GDCM: pydicom has no encoder for these."""
    (folder / "plain.dcm").write_bytes(dicom(pixels))
    reader, writer = gdcm.ImageReader(), gdcm.ImageWriter()
    reader.SetFileName(str(folder / "plain.dcm"))
    assert reader.Read()
    change = gdcm.ImageChangeTransferSyntax()
    change.SetTransferSyntax(gdcm.TransferSyntax(getattr(gdcm.TransferSyntax, name)))
    change.SetInput(reader.GetImage())
    assert change.Change()
    writer.SetFileName(str(folder / "packed.dcm"))
    writer.SetFile(reader.GetFile())
    writer.SetImage(change.GetOutput())
    assert writer.Write()
    return (folder / "packed.dcm").read_bytes()


@pytest.mark.parametrize(
    "name", ["JPEGLosslessProcess14", "JPEGLosslessProcess14_1", "JPEGLSLossless"]
)
@pytest.mark.parametrize("pixels", [GREY, GREY.astype(np.int16) - 2000, picture(32, 32)])
def test_lossless_jpeg_and_jpeg_ls_give_the_same_picture(
    name: str, pixels: Any, tmp_path: Path
) -> None:
    content = packed(pixels, name, tmp_path)
    assert content != dicom(pixels)
    assert np.array_equal(decode_dicom(content).pixels, decode_dicom(dicom(pixels)).pixels)


def frame_of(content: bytes) -> bytes:
    return get_frame(dcmread(BytesIO(content)).PixelData, 0, number_of_frames=1)


def test_a_frame_that_aborts_the_decoder_is_broken_and_we_live_on(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    frame = frame_of(packed(picture(32, 32), "JPEGLosslessProcess14_1", tmp_path))
    stream = read_stream(frame)
    assert stream is not None
    # Bits that are not the frame's: GDCM 3.2.6 throws through a C function, the process is aborted.
    with pytest.raises(BrokenImage, match="does not decode"):
        decode_isolated(frame, stream._replace(bits=7))
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("cut", [10, 100, 1000])
@pytest.mark.parametrize(
    "name", ["JPEGLosslessProcess14", "JPEGLosslessProcess14_1", "JPEGLSLossless"]
)
def test_a_frame_whose_pixels_end_early_is_refused_though_its_end_marker_is_there(
    name: str, cut: int, tmp_path: Path
) -> None:
    whole = np.random.default_rng(0).integers(0, 4096, (64, 64)).astype(np.uint16)
    frame = frame_of(packed(whole, name, tmp_path))
    end = frame.rindex(b"\xff\xd9")
    stream = read_stream(frame)
    assert stream is not None
    assert np.array_equal(decode_isolated(frame[:end], stream), whole)
    with pytest.raises(BrokenImage, match="cut short"):
        decode_isolated(frame[: end - cut] + b"\xff\xd9", stream)


def test_a_frame_cut_short_is_refused(tmp_path: Path) -> None:
    content = packed(GREY, "JPEGLosslessProcess14_1", tmp_path)
    with pytest.raises(BrokenImage):
        decode_dicom(content[: len(content) - 40])
