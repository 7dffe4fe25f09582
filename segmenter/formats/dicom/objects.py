"""What a DICOM object is that holds no picture. Pure."""

from pydicom import config
from pydicom.uid import UID

# Where the file meta information ends: it holds a dozen of short texts.
_META_BYTES = 4096
# MediaStorageSOPClassUID, explicit VR.
_META_CLASS = b"\x02\x00\x02\x00UI"
# Words in the keyword of a storage class without a picture, and what people call it.
# Source: PS3.4, B.5 (storage SOP classes).
_NO_PICTURE = (
    ("MediaStorageDirectory", "DICOMDIR"),
    ("KeyObjectSelection", "DICOM key object selection"),
    ("PresentationState", "DICOM presentation state"),
    ("EncapsulatedPDF", "PDF document in DICOM"),
    ("Encapsulated", "document in DICOM"),
    ("SurfaceSegmentation", "DICOM segmentation"),
    ("SegmentationStorage", "DICOM segmentation"),
    ("Waveform", "DICOM waveform"),
    ("RTStructureSet", "DICOM RT structure set"),
    ("RTPlan", "DICOM RT plan"),
    ("RTIonPlan", "DICOM RT plan"),
    ("TreatmentRecord", "DICOM RT treatment record"),
    ("Registration", "DICOM registration"),
    ("SpatialFiducials", "DICOM fiducials"),
    ("RawData", "DICOM raw data"),
    ("Spectroscopy", "DICOM spectroscopy"),
    ("RealWorldValueMapping", "DICOM value mapping"),
    ("Measurements", "DICOM measurements"),
    ("HangingProtocol", "DICOM hanging protocol"),
    ("SRStorage", "DICOM structured report"),
    ("TextSR", "DICOM structured report"),
    ("ProcedureLog", "DICOM structured report"),
)


def kind_without_picture(head: bytes) -> str | None:
    """Name what a DICOM object without a picture is, by its file meta information."""
    at = head.find(_META_CLASS, 0, _META_BYTES)
    if at < 0:
        return None
    length = int.from_bytes(head[at + 6 : at + 8], "little")
    return kind_of_class(head[at + 8 : at + 8 + length].rstrip(b"\0 ").decode("ascii", "replace"))


def kind_of_class(uid: str) -> str | None:
    """Name what objects of a class without a picture are; None of any other class."""
    keyword = class_keyword(uid)
    return next((said for word, said in _NO_PICTURE if word in keyword), None)


WITHOUT_PICTURE = "DICOM object without a picture"


def class_keyword(uid: str) -> str:
    """Return the standard's word for a class of objects; empty for one that is not of it."""
    # Unchecked: a check's warning quotes what it read.
    return UID(uid, config.IGNORE).keyword if uid else ""
