from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom.uid import JPEGLosslessSV1

from segmenter.errors import BrokenImage
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


def test_a_frame_that_aborts_the_decoder_is_broken_and_we_live_on(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    content = packed(picture(32, 32), "JPEGLosslessProcess14_1", tmp_path)
    assert JPEGLosslessSV1.encode() in content
    # Bits Stored 7: GDCM 3.2.6 throws through a C function and the process is aborted.
    stored = content.index(b"\x28\x00\x01\x01US\x02\x00") + 8
    damaged = content[:stored] + b"\x07" + content[stored + 1 :]
    with pytest.raises(BrokenImage, match="does not decode"):
        decode_dicom(damaged)
    assert capfd.readouterr() == ("", "")


def test_a_frame_cut_short_is_refused(tmp_path: Path) -> None:
    content = packed(GREY, "JPEGLosslessProcess14_1", tmp_path)
    with pytest.raises(BrokenImage):
        decode_dicom(content[: len(content) - 40])
