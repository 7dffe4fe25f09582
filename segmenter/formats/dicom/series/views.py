"""The attributes of one frame: of a multi-frame object its functional groups, else the file's.

Source: PS3.3, C.7.6.16 (multi-frame functional groups): what a frame has of its own comes before
what all share, and both before the attributes of the object.
"""

from pydicom.dataset import Dataset
from pydicom.tag import Tag

SHARED, PER_FRAME = "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"
_GROUPS = frozenset({Tag(SHARED), Tag(PER_FRAME)})
# Macros that are looked into, and what is taken from each.
MACROS: dict[str, tuple[str, ...]] = {
    "PixelMeasuresSequence": ("PixelSpacing", "SliceThickness", "SpacingBetweenSlices"),
    "PlanePositionSequence": ("ImagePositionPatient",),
    "PlaneOrientationSequence": ("ImageOrientationPatient",),
    "PlanePositionVolumeSequence": ("ImagePositionVolume",),
    "PlaneOrientationVolumeSequence": ("ImageOrientationVolume",),
    "PixelValueTransformationSequence": ("RescaleSlope", "RescaleIntercept", "RescaleType"),
    "FrameVOILUTSequence": ("WindowCenter", "WindowWidth", "VOILUTFunction"),
    "FrameContentSequence": (
        *("StackID", "TemporalPositionIndex", "FrameAcquisitionNumber"),
        *("FrameAcquisitionDateTime", "FrameReferenceDateTime", "DimensionIndexValues"),
    ),
    "CardiacSynchronizationSequence": ("NominalCardiacTriggerDelayTime",),
    "TemporalPositionSequence": ("TemporalPositionTimeOffset",),
    "MREchoSequence": ("EffectiveEchoTime",),
    "MRDiffusionSequence": ("DiffusionBValue", "DiffusionGradientDirectionSequence"),
    "MRImageFrameTypeSequence": ("FrameType", "ComplexImageComponent"),
    "CTImageFrameTypeSequence": ("FrameType",),
    "PETFrameTypeSequence": ("FrameType",),
}


def frame_view(header: Dataset, index: int) -> Dataset:
    """Return the attributes of a frame, counted from 0, as a header of its own.

    Values are shared with `header`, which is left as it is; the sequences of functional groups
    are left out.
    """
    view = Dataset()
    view.file_meta = header.file_meta
    for tag in header.keys():  # noqa: SIM118 - going through a data set itself reads every value
        if tag not in _GROUPS:
            view[tag] = header.get_item(tag)
    for group, place in ((SHARED, 0), (PER_FRAME, index)):
        items = header[group].value if group in header else ()
        if place < len(items):
            _take(view, items[place])
    return view


def _take(view: Dataset, group: Dataset) -> None:
    for macro, keywords in MACROS.items():
        items = group.get(macro)
        if not items:
            continue
        for keyword in keywords:
            if keyword in items[0]:
                view[keyword] = items[0][keyword]
