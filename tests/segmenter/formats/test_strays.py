"""What lies beside a sequence is skipped and named; what stops one is named too."""

import gzip
import io
import zipfile
from typing import Any

import nibabel
import numpy as np
import pytest
from PIL import Image
from pydicom.uid import (
    BasicTextSRStorage,
    EncapsulatedPDFStorage,
    GrayscaleSoftcopyPresentationStateStorage,
    KeyObjectSelectionDocumentStorage,
    MediaStorageDirectoryStorage,
    RTStructureSetStorage,
    SegmentationStorage,
    generate_uid,
)

from segmenter.errors import BrokenImage, InputError, UnsupportedImage
from segmenter.formats.frames import SkippedFile
from segmenter.formats.limits import Limits
from segmenter.formats.sequences import open_frames, working_bytes
from segmenter.formats.strays import what_is
from tests.segmenter.formats.build import dicom_bytes, dicom_dataset, picture, save
from tests.segmenter.formats.dicom.series.build import clip, stack

JPEG = save(Image.fromarray(picture()), "JPEG")
PDF = b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n"
THUMBS = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(64)


def nifti() -> bytes:
    image = nibabel.Nifti1Image(np.zeros((4, 5, 3), np.int16), np.eye(4))
    return gzip.compress(image.to_bytes())


def zipped(files: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return stream.getvalue()


def without_picture(sop_class: str) -> bytes:
    dataset: Any = dicom_dataset(np.zeros((2, 2), np.uint8))
    for keyword in ("PixelData", "Rows", "Columns", "BitsAllocated", "SamplesPerPixel"):
        delattr(dataset, keyword)
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = sop_class
    dataset.SeriesInstanceUID = generate_uid()
    return dicom_bytes(dataset)


def both(content: Any) -> Any:
    """Open, and check that the memory is told for the same content."""
    assert working_bytes(content, Limits()) > 0
    return open_frames(content, Limits())


def test_strays_of_an_archive_are_skipped_and_named() -> None:
    slices = {f"export/S1/IM{i}": content for i, content in enumerate(stack([0, 3, 6]))}
    strays = {
        "README.txt": (b"Open me.\r\n", "text"),
        "export/Thumbs.db": (THUMBS, "Windows thumbnail store or old Office document"),
        "export/report.pdf": (PDF, "PDF document"),
        "export/preview.jpg": (JPEG, "JPEG picture"),
        "export/dicomdir": (b"x", "DICOMDIR"),
        "DICOMDIR": (without_picture(MediaStorageDirectoryStorage), "DICOMDIR"),
        "export/S2/SR1": (without_picture(BasicTextSRStorage), "DICOM structured report"),
        "S3/PR": (
            without_picture(GrayscaleSoftcopyPresentationStateStorage),
            "DICOM presentation state",
        ),
        "S3/KO": (
            without_picture(KeyObjectSelectionDocumentStorage),
            "DICOM key object selection",
        ),
        "S3/PDF": (without_picture(EncapsulatedPDFStorage), "PDF document in DICOM"),
        "S3/SEG": (without_picture(SegmentationStorage), "DICOM segmentation"),
        "S3/RT": (without_picture(RTStructureSetStorage), "DICOM RT structure set"),
        "__MACOSX/export/._IM0": (b"\x00\x05\x16\x07", "hidden file"),
        "export/.DS_Store": (b"x", "hidden file"),
        "export/desktop.ini": (b"[.ShellClassInfo]\r\n", "text"),
        "export/empty": (b"", "empty file"),
        "export/viewer.exe": (b"MZ\x90\x00", "Windows program"),
        "export/page.html": (b"<!DOCTYPE html>", "XML or HTML text"),
        "export/odd": (bytes(range(256)), "content of no format known here"),
    }
    contents = {name: content for name, (content, _) in strays.items()}
    frames = both(zipped(contents | slices))
    assert (frames.count, frames.format) == (3, "dicom-series")
    told = [
        SkippedFile(n, what, name.rsplit("/")[-1])
        for n, (name, (_, what)) in enumerate(strays.items(), 1)
    ]
    assert list(frames.skipped) == told
    assert [origin.file for origin in frames.origins] == [20, 21, 22]


def test_strays_among_files_are_skipped_and_numbered() -> None:
    one, two = stack([0, 3])
    frames = both([b"notes", one, b"", JPEG, two])
    assert frames.count == 2
    assert [each.file for each in frames.skipped] == [1, 3, 4]
    assert [origin.file for origin in frames.origins] == [2, 5]


@pytest.mark.parametrize("beside", [PDF, JPEG, b"text", b""])
def test_one_volume_among_strays_is_read(beside: bytes) -> None:
    for content in ([beside, nifti()], zipped({"a": beside, "scan.nii.gz": nifti(), ".b": b"x"})):
        frames = both(content)
        assert (frames.format, frames.count) == ("nifti", 3)
        assert frames.skipped[0].file == 1
        assert {origin.file for origin in frames.origins} == {2}


def test_a_single_multi_frame_file_among_strays_is_read() -> None:
    frames = both([PDF, clip(3, FrameTime="40")])
    assert (frames.count, frames.origins[2].file, frames.origins[2].frame) == (3, 2, 3)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (
            zipped({"a.nii.gz": nifti(), "b.nii.gz": nifti()}),
            "two NIfTI files in the ZIP archive: send one",
        ),
        ([nifti(), nifti(), nifti()], "three NIfTI files among the files: send one"),
        (
            [nifti(), *stack([0, 3])],
            "one NIfTI file and two DICOM files among the files: send one series or file",
        ),
        (
            [PDF, JPEG],
            "none of the 2 files is a sequence .file 1 is a PDF document; file 2 is a JPEG",
        ),
        (
            [JPEG, save(Image.new("L", (4, 4)), "gif"), save(Image.new("L", (5, 4)), "gif")],
            "two GIF files among the files: send one; if it is a single picture, send it to POST",
        ),
        (
            zipped({"a.txt": b"hello"}),
            "the ZIP archive holds one file: this is a text file: send the picture or volume",
        ),
        (
            bytes(128) + b"DIXM" + b"\x02\x00\x00\x00UL\x04\x00" + bytes(400),
            r"DICOM whose prefix is not DICM \(bytes 128 to 131\): damaged",
        ),
        (JPEG, "this is a single picture .jpeg.: send it to POST /segment or"),
        (PDF, "this is a PDF document: export the picture in it as PNG or DICOM; NIfTI, "),
        (
            [without_picture(BasicTextSRStorage), without_picture(SegmentationStorage)],
            "file 1 is a DICOM structured report; file 2 is a DICOM segmentation; send the images",
        ),
    ],
    ids=["two", "three", "mixed", "none", "pictures", "text", "prefix", "jpeg", "pdf", "reports"],
)
def test_what_is_no_single_sequence_is_told(content: Any, words: str) -> None:
    for read in (open_frames, working_bytes):
        with pytest.raises(UnsupportedImage, match=words):
            read(content, Limits())


def test_a_file_that_stops_a_series_is_named_by_its_number() -> None:
    one, two, three = stack([0, 3, 6])
    for read in (open_frames, working_bytes):
        with pytest.raises(BrokenImage, match=r"^file 2: "):
            read([one, two[:400], three], Limits())


def test_refusals_and_names_are_bounded() -> None:
    with pytest.raises(InputError) as refused:
        open_frames([PDF] * 500, Limits())
    assert len(str(refused.value)) < 400
    name = "n" * 1000
    frames = both(zipped({name: PDF, "a.nii.gz": nifti()}))
    assert frames.skipped[0].name == "n" * 128


def test_text_that_is_cut_within_a_letter_is_text() -> None:
    assert what_is("Größe".encode()[:3]) == "text"


def test_a_header_and_its_voxels_are_found_among_strays() -> None:
    voxels = np.arange(60, dtype="<i2").tobytes()
    header = (
        b"ObjectType = Image\nNDims = 3\nDimSize = 5 4 3\nElementType = MET_SHORT\n"
        b"ElementSpacing = 1 1 2\nElementByteOrderMSB = False\nElementDataFile = scan.raw\n"
    )
    files = {"README": b"hello", "scan.mhd": header, "notes.pdf": PDF, "scan.raw": voxels}
    for content in (list(files.values()), zipped(files)):
        frames = both(content)
        assert (frames.format, frames.count) == ("metaimage", 3)
        assert [each.file for each in frames.skipped] == [1, 3]
    with pytest.raises(UnsupportedImage, match=r"2 files that may be its voxels \(files 2, 3\)"):
        open_frames([header, voxels, voxels], Limits())


def test_a_damaged_gzip_beside_a_sequence_is_a_stray() -> None:
    broken = b"\x1f\x8b\x08\x00" + bytes(6) + b"\xff" * 64
    frames = both([broken, *stack([0, 3])])
    assert frames.skipped == (SkippedFile(1, "gzip archive"),)
    with pytest.raises(BrokenImage):
        open_frames(broken, Limits())


def test_a_damaged_class_is_neither_warned_of_nor_quoted(
    recwarn: pytest.WarningsRecorder,
) -> None:
    one, two = stack([0, 3])
    marked = one.replace(b"10008.5.1.4", b"DOE^JANE.14")
    assert marked != one
    with pytest.raises(InputError) as refused:
        both([marked, two])
    assert "DOE" not in str(refused.value)
    assert not recwarn.list


def test_an_object_without_meta_and_picture_is_skipped() -> None:
    bare = without_picture(BasicTextSRStorage)
    bare = bare[bare.index(b"\x08\x00\x16\x00") :]
    frames = both([bare, *stack([0, 3])])
    assert frames.skipped == (SkippedFile(1, "DICOM object without a picture"),)
    with pytest.raises(UnsupportedImage, match="holds no picture"):
        open_frames(bare, Limits())


def test_slices_without_meta_are_a_series() -> None:
    bare = [content[content.index(b"\x08\x00\x16\x00") :] for content in stack([0, 3, 6])]
    frames = both(bare)
    assert frames.count == 3
    assert "no transfer syntax stated" in frames.rendering


def test_a_zip_that_is_patched_is_not_called_damaged() -> None:
    content = bytearray(zipped({"a.dcm": b"x" * 200}))
    # Bit 5 of the flags, in the file's own header and in the directory.
    for header, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(header) + at] |= 0x20
    with pytest.raises(UnsupportedImage, match="in a way that is not read: make it anew"):
        open_frames(bytes(content), Limits())


def test_a_zip_of_another_compression_is_not_called_damaged() -> None:
    content = bytearray(zipped({"scan.nii": nifti()}))
    entry = content.find(b"PK\x01\x02")
    # Deflate64, as Windows writes it for large files.
    content[8], content[entry + 10] = 9, 9
    with pytest.raises(UnsupportedImage, match="compressed by a method that is not read: make"):
        open_frames(bytes(content), Limits())
