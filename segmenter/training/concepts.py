"""What the compact model can be asked for, and which concepts an image can certainly not show."""

from typing import NamedTuple

OBJECT_TOKEN = "object"


class Concept(NamedTuple):
    """One phrase of the vocabulary.

    Attributes:
        name: the phrase as in the manifests.
        multiple: whether an image usually shows several pieces, all of them wanted.
        modalities: where it can be seen; an image of any other modality certainly lacks it.
        aliases: other spellings and names of exactly the same thing.
        fine: whether its pieces are so thin or small that tiles of the picture show them better.
        mirror: whether it is also read mirrored and the two answers averaged.
        second_look: whether what text alone found is drawn again from a zoomed view.
        mirror_boxed: whether the view of a box is also read mirrored.
        rebox: whether a box that fits badly what was found in it is replaced by the fitting one.
    """

    name: str
    multiple: bool
    modalities: frozenset[str]
    aliases: tuple[str, ...] = ()
    fine: bool = False
    mirror: bool = False
    second_look: bool = False
    mirror_boxed: bool = False
    rebox: bool = False


_CHEST = frozenset({"chest x-ray", "cardiac mri"})

CONCEPTS: tuple[Concept, ...] = (
    # Breast tissue lies over the lungs of an X-ray, and histology may be of a tumor.
    Concept(
        "breast tumor",
        False,
        frozenset({"ultrasound", "chest x-ray", "microscopy"}),
        ("breast tumour", "breast tumors", "breast tumours", "breast mass", "breast lesion"),
    ),
    Concept(
        "polyp",
        False,
        frozenset({"colonoscopy"}),
        ("polyps", "colon polyp", "colonic polyp", "colorectal polyp"),
        mirror=True,
        rebox=True,
    ),
    Concept(
        "skin lesion",
        False,
        frozenset({"dermoscopy"}),
        ("skin lesions",),
        mirror=True,
        mirror_boxed=True,
    ),
    Concept(
        "optic disc",
        False,
        frozenset({"fundus"}),
        ("optic disk", "optic nerve head"),
        second_look=True,
        rebox=True,
    ),
    Concept(
        "optic cup",
        False,
        frozenset({"fundus"}),
        ("optic disc cup", "optic nerve cup"),
        mirror=True,
        mirror_boxed=True,
    ),
    Concept(
        "retinal vessels",
        True,
        frozenset({"fundus"}),
        ("retinal vessel", "retinal blood vessels", "retinal vasculature"),
        fine=True,
    ),
    Concept(
        "nuclei",
        True,
        frozenset({"microscopy"}),
        ("nucleus", "cell nuclei", "cell nucleus"),
        fine=True,
    ),
    # Heart slices show lung beside the heart; chest X-rays show the heart's shadow.
    Concept(
        "lungs",
        True,
        _CHEST,
        ("lung", "lung fields"),
        mirror=True,
    ),
    Concept(
        "lung infection",
        True,
        _CHEST,
        ("lung infections", "infected lung"),
        mirror=True,
    ),
    Concept(
        "brain tumor",
        False,
        frozenset({"brain mri", "microscopy"}),
        ("brain tumour", "brain tumors", "brain tumours"),
        mirror=True,
        mirror_boxed=True,
    ),
    Concept(
        "left ventricle",
        False,
        _CHEST,
        ("left ventricular cavity",),
        second_look=True,
        rebox=True,
    ),
    Concept("right ventricle", False, _CHEST, ("right ventricular cavity",)),
    Concept(
        "myocardium",
        False,
        _CHEST,
        ("left ventricular myocardium",),
        second_look=True,
        rebox=True,
    ),
    Concept("prostate", False, frozenset({"prostate mri", "microscopy"}), ("prostate gland",)),
)

NAMES: tuple[str, ...] = (*(concept.name for concept in CONCEPTS), OBJECT_TOKEN)
"""Names in the order of the model's concept numbers; the token for a box alone is the last."""

MODALITIES: dict[str, str] = {
    "busi": "ultrasound",
    "kvasir_seg": "colonoscopy",
    "cvc_clinicdb": "colonoscopy",
    "isic2018": "dermoscopy",
    "drishti_gs": "fundus",
    "drive": "fundus",
    "dsb2018": "microscopy",
    "monuseg": "microscopy",
    "covid_cxr": "chest x-ray",
    "covid_qu_ex_mini": "chest x-ray",
    "cxr_lungs": "chest x-ray",
    "lgg_mri": "brain mri",
    "acdc": "cardiac mri",
    "prostate_mini": "prostate mri",
}
"""Modality of each set of the data folder."""


def foreign_concepts(dataset: str) -> tuple[int, ...]:
    """Return the numbers of the concepts that no image of ``dataset`` can show."""
    modality = MODALITIES[dataset]
    return tuple(
        number for number, concept in enumerate(CONCEPTS) if modality not in concept.modalities
    )
