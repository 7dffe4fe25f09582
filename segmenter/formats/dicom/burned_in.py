"""Whether a DICOM picture may show text about the patient, and where the picture proper is.

Source: PS3.3, C.7.6.1.1.5 (Burned In Annotation) and C.8.5.5 (US Region Calibration); PS3.15, Annex
E.3.1 (Clean Pixel Data) names ultrasound and secondary captures as where names are burned in.
"""

from pydicom.dataset import Dataset

from segmenter.formats.dicom.layout import Layout

# Kinds of objects and modalities whose makers write names into the picture.
SECONDARY_CAPTURES = "1.2.840.10008.5.1.4.1.1.7"
BURNING_MODALITIES = frozenset({"US", "OT", "SC", "XC", "ES", "GM", "DOC", "IVUS", "BDUS"})


def may_show_name(header: Dataset) -> bool:
    """Tell whether the pixels may show a name: the file says so, or does not deny it."""
    said = str(header.get("BurnedInAnnotation") or "").strip().upper()
    if said in ("YES", "NO"):
        return said == "YES"
    kind, modality = str(header.get("SOPClassUID") or ""), str(header.get("Modality") or "")
    captured = kind == SECONDARY_CAPTURES or kind.startswith(f"{SECONDARY_CAPTURES}.")
    return captured or modality in BURNING_MODALITIES


def picture_region(header: Dataset, layout: Layout) -> tuple[int, int, int, int] | None:
    """Return the box around all ultrasound regions, half-open; None where there is none."""
    boxes = [
        box
        for region in header.get("SequenceOfUltrasoundRegions") or ()
        if (box := _box(region, layout)) is not None
    ]
    if not boxes:
        return None
    lefts, tops, rights, bottoms = zip(*boxes, strict=True)
    return min(lefts), min(tops), max(rights), max(bottoms)


def _box(region: Dataset, layout: Layout) -> tuple[int, int, int, int] | None:
    sides = [region.get(f"RegionLocation{side}") for side in ("MinX0", "MinY0", "MaxX1", "MaxY1")]
    if not all(isinstance(side, int) for side in sides):
        return None
    x0, y0, x1, y1 = map(int, sides)
    # The last column and row belong to the region.
    box = (max(x0, 0), max(y0, 0), min(x1 + 1, layout.columns), min(y1 + 1, layout.rows))
    return box if box[0] < box[2] and box[1] < box[3] else None
