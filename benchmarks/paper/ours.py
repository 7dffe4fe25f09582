"""Which of our sets stands beside which of the paper's, and what differs."""

from typing import NamedTuple


class Match(NamedTuple):
    """One of our sets and concepts beside a column of the paper.

    Attributes:
        dataset: our name of the set.
        concept: our name of the concept.
        column: the paper's name of its data.
        note: what differs between the two.
    """

    dataset: str
    concept: str
    column: str
    note: str


_SPLIT = "same collection, our own split: the paper's test images are not known"

MATCHES: tuple[Match, ...] = (
    Match("busi", "breast tumor", "BUSI", f"{_SPLIT}; normal scans are not in the Dice"),
    Match(
        "drishti_gs",
        "optic cup",
        "RIM-ONE(Cup)",
        "different data: Drishti-GS fundus photographs stand in for RIM-ONE",
    ),
    Match(
        "drishti_gs",
        "optic disc",
        "RIM-ONE(Disc)",
        "different data: Drishti-GS fundus photographs stand in for RIM-ONE",
    ),
    Match(
        "isic2018",
        "skin lesion",
        "ISIC 2018",
        "our own split of the 2,594 training images, at 256 x 256; the official test images "
        "are not in our copy",
    ),
    Match("kvasir_seg", "polyp", "Kvasir-SEG", f"{_SPLIT}; a re-encoded JPEG copy at 256 x 256"),
    Match(
        "dsb2018",
        "nuclei",
        "DSB 2018",
        "our own split of the stage 1 training images, with the community's corrected masks",
    ),
    Match(
        "monuseg",
        "nuclei",
        "MoNuSeg",
        "quadrants (500 x 500) of the images, our own split: the paper's test images are not known",
    ),
    Match(
        "covid_qu_ex_mini",
        "lung infection",
        "COVID-QU-Ex",
        "12 images of about 33,900, 9 of them for tests: no more than a sanity check",
    ),
    Match(
        "prostate_mini",
        "prostate",
        "PROMISE12",
        "11 single slices of six sites, three of them sites of PROMISE12; the paper scores whole "
        "volumes",
    ),
)


def match(dataset: str, concept: str) -> Match | None:
    """Return what stands beside one of our sets and concepts; None if nothing does."""
    found = (known for known in MATCHES if (known.dataset, known.concept) == (dataset, concept))
    return next(found, None)


def match_column(column: str) -> Match | None:
    """Return our set beside a column of the paper; None without one."""
    return next((known for known in MATCHES if known.column == column), None)
