"""The datasets of the MedSAM-3 paper: where they are, how they are laid out, what converts them.

Layouts follow public descriptions and loaders; no download of these sets was at hand to check
them, so a converter that finds nothing says what it looked for. ``licence`` is what the dataset's
own page is known to say, else ``unknown``.
"""

from typing import NamedTuple

from benchmarks.paper.paired import Paired, Target, grey
from benchmarks.paper.slices import Volumes
from benchmarks.paper.tables import PHRASES
from segmenter.formats.decoded import Window


class Outlines(NamedTuple):
    """Images with XML outlines of one concept."""

    concept: str


Converter = tuple[Paired, ...] | Outlines | Volumes


class Dataset(NamedTuple):
    """One dataset of the paper.

    Attributes:
        name: as in the paper.
        modality: kind of picture.
        form: ``2-D``, ``video`` or ``3-D``.
        page: name and address of the official page.
        access: registration and licence.
        layout: of the download folder.
        converter: its settings; the module belongs to their type.
    """

    name: str
    modality: str
    form: str
    page: str
    access: str
    layout: str
    converter: Converter

    @property
    def phrases(self) -> tuple[str, ...]:
        """Default phrases (Table 1)."""
        return PHRASES[self.name]


# Source: MedSAM's preprocessing (Ma et al. 2024, Nat. Commun. 15:654): soft tissue, lung.
_SOFT_TISSUE, _LUNG = Window(40, 400), Window(-160, 1500)
_RIM = "{root}RIM-ONE_DL_reference_segmentations/{kind}/{stem}-*{part_of_eye}-T.png"
_GOALS = "{root}Layer_Masks/{stem}.png"
_RAVIR = "{root}train/training_masks/{stem}.png"

DATASETS: tuple[Dataset, ...] = (
    Dataset(
        "COVID-QU-Ex",
        "chest X-ray",
        "2-D",
        "Kaggle, COVID-QU-Ex Dataset: kaggle.com/datasets/anasmohammedtahir/covidqu",
        "Kaggle account; CC BY-SA 4.0 on its page",
        "Infection Segmentation Data/<Train|Val|Test>/<class>/images and .../infection masks",
        (
            Paired(
                r"(?P<root>(?!.*Lung Segmentation).*/)?(?P<part>Train|Val|Test)"
                r"/(?P<kind>[^/]+)/images/(?P<stem>[^/]+)\.png",
                "{part}_{kind}_{stem}",
                (Target("lung infection", "{root}{part}/{kind}/infection masks/{stem}.png"),),
            ),
        ),
    ),
    Dataset(
        "DSB 2018",
        "fluorescence, brightfield and H&E microscopy",
        "2-D",
        "Broad Bioimage Benchmark Collection BBBC038: bbbc.broadinstitute.org/BBBC038",
        "no registration; CC0 1.0",
        "stage1_train/<id>/images/<id>.png, one PNG per nucleus in stage1_train/<id>/masks",
        (
            Paired(
                r"(?P<root>.*/)?(?P<stem>[^/]+)/images/(?P=stem)\.png",
                "{stem}",
                (Target("nuclei", "{root}{stem}/masks/*.png"),),
                instances=True,
            ),
        ),
    ),
    Dataset(
        "BUSI",
        "breast ultrasound",
        "2-D",
        "Breast Ultrasound Images Dataset, Cairo University: "
        "scholar.cu.edu.eg/?q=afahmy/pages/dataset",
        "no registration; licence unknown (its article in Data in Brief is CC BY 4.0)",
        "Dataset_BUSI_with_GT/<benign|malignant|normal>/<kind> (N).png and <kind> (N)_mask*.png",
        (
            Paired(
                r"(?P<root>.*/)?(?P<kind>benign|malignant|normal)/(?P<stem>[^/]+\(\d+\))\.png",
                "{stem}",
                (Target("breast tumor", "{root}{kind}/{stem}_mask*.png"),),
            ),
        ),
    ),
    Dataset(
        "GOALS",
        "optical coherence tomography",
        "2-D",
        "iChallenge-GOALS: aistudio.baidu.com/competition/detail/230",
        "registration; licence unknown",
        "Train/Image/<id>.png, Train/Layer_Masks/<id>.png: 0 RNFL, 80 GCIPL, 160 choroid, else 255",
        (
            Paired(
                r"(?P<root>.*/)?Image/(?P<stem>[^/]+)\.png",
                "{stem}",
                (
                    Target("RNFL", _GOALS, grey(0)),
                    Target("GCIPL", _GOALS, grey(80)),
                    Target("choroid", _GOALS, grey(160)),
                ),
            ),
        ),
    ),
    Dataset(
        "RIM-ONE",
        "fundus photograph",
        "2-D",
        "RIM-ONE DL, Universidad de La Laguna: github.com/miag-ull/rim-one-dl",
        "no registration; licence unknown",
        "RIM-ONE_DL_images/partitioned_randomly/<part>/<kind>/<id>.png, "
        "RIM-ONE_DL_reference_segmentations/<kind>/<id>-1-<Cup|Disc>-T.png",
        (
            Paired(
                r"(?P<root>.*/)?RIM-ONE_DL_images/partitioned_randomly/(?P<part>training|test)_set"
                r"/(?P<kind>glaucoma|normal)/(?P<stem>[^/]+)\.png",
                "{stem}",
                (
                    Target("optic cup", _RIM.replace("{part_of_eye}", "Cup")),
                    Target("optic disc", _RIM.replace("{part_of_eye}", "Disc")),
                ),
            ),
        ),
    ),
    Dataset(
        "ISIC 2018",
        "dermoscopy",
        "2-D",
        "ISIC Challenge data, 2018, Task 1: challenge.isic-archive.com/data",
        "no registration; CC BY-NC 4.0",
        "ISIC2018_Task1-2_<part>_Input/<id>.jpg, "
        "ISIC2018_Task1_<part>_GroundTruth/<id>_segmentation.png",
        (
            Paired(
                r"(?P<root>.*/)?ISIC2018_Task1-2_(?P<part>Training|Validation|Test)_Input"
                r"/(?P<stem>ISIC_\d+)\.jpg",
                "{stem}",
                (
                    Target(
                        "skin lesion",
                        "{root}ISIC2018_Task1_{part}_GroundTruth/{stem}_segmentation.png",
                    ),
                ),
            ),
        ),
    ),
    Dataset(
        "RAVIR",
        "infrared reflectance of the retina",
        "2-D",
        "RAVIR, Grand Challenge: ravir.grand-challenge.org",
        "licence unknown",
        "RAVIR Dataset/train/training_images/<id>.png and training_masks/<id>.png: 128 artery, "
        "255 vein (the test masks are not public)",
        (
            Paired(
                r"(?P<root>.*/)?train/training_images/(?P<stem>[^/]+)\.png",
                "{stem}",
                (
                    Target("retinal arteries", _RAVIR, grey(128)),
                    Target("retinal veins", _RAVIR, grey(255)),
                ),
            ),
        ),
    ),
    Dataset(
        "Kvasir-SEG",
        "colonoscopy",
        "2-D",
        "Kvasir-SEG, Simula: datasets.simula.no/kvasir-seg",
        "no registration; research and education only",
        "Kvasir-SEG/images/<id>.jpg and masks/<id>.jpg (JPEG: inside is brighter than 127)",
        (
            Paired(
                r"(?P<root>.*/)?images/(?P<stem>[^/]+)\.jpg",
                "{stem}",
                (Target("polyp", "{root}masks/{stem}.jpg"),),
            ),
        ),
    ),
    Dataset(
        "MoNuSeg",
        "H&E histology",
        "2-D",
        "MoNuSeg, Grand Challenge: monuseg.grand-challenge.org/Data",
        "no registration known; CC BY-NC-SA 4.0",
        "images <id>.tif and outlines <id>.xml of the same name anywhere; a path that says train "
        "is the train split",
        Outlines("nuclei"),
    ),
    Dataset(
        "PolypGen",
        "colonoscopy",
        "video",
        "PolypGen, Synapse: doi.org/10.7303/syn26376615",
        "Synapse account; licence unknown",
        "data_C<n>/images_C<n>/<id>.jpg and masks_C<n>/<id>_mask.jpg; "
        "sequenceData/positive/<seq>/images_<seq>, masks_<seq>; sequenceData/negativeOnly/<seq>",
        (
            Paired(
                r"(?P<root>.*/)?data_(?P<centre>C\d)/images_(?P=centre)/(?P<stem>[^/]+)\.jpg",
                "{centre}_{stem}",
                (Target("polyp", "{root}data_{centre}/masks_{centre}/{stem}_mask.jpg"),),
            ),
            Paired(
                r"(?P<root>.*/)?sequenceData/positive/(?P<seq>[^/]+)/images_(?P=seq)"
                r"/(?P<stem>[^/]+)\.jpg",
                "{seq}_{stem}",
                (Target("polyp", "{root}sequenceData/positive/{seq}/masks_{seq}/{stem}_mask.jpg"),),
                group="{seq}",
            ),
            Paired(
                r"(?P<root>.*/)?sequenceData/negativeOnly/(?P<seq>[^/]+)/(?P<stem>[^/]+)\.jpg",
                "negative_{seq}_{stem}",
                (Target("polyp", None),),
                group="negative_{seq}",
            ),
        ),
    ),
    Dataset(
        "LiTS",
        "abdominal CT",
        "3-D",
        "LiTS, CodaLab: competitions.codalab.org/competitions/17094",
        "registration; licence unknown",
        "volume-<n>.nii and segmentation-<n>.nii anywhere: 1 liver, 2 tumor (both are liver); "
        "window 400 HU around 40",
        Volumes(
            r"(?:.*/)?volume-(?P<n>\d+)\.nii(?:\.gz)?",
            "**/segmentation-{n}.nii*",
            "lits_{n}",
            (("liver", frozenset({1, 2})), ("liver tumor", frozenset({2}))),
            _SOFT_TISSUE,
        ),
    ),
    Dataset(
        "PROMISE12",
        "prostate MRI, T2",
        "3-D",
        "PROMISE12, Grand Challenge: promise12.grand-challenge.org",
        "licence unknown",
        "Case<n>.mhd and Case<n>_segmentation.mhd with their .raw or .zraw",
        Volumes(
            r"(?P<root>.*/)?(?P<stem>Case\d+)\.mhd",
            "{root}{stem}_segmentation.mhd",
            "{stem}",
            (("prostate", frozenset({1})),),
        ),
    ),
    Dataset(
        "ISLES 2024",
        "brain MRI, DWI",
        "3-D",
        "ISLES'24, Grand Challenge: isles-24.grand-challenge.org; Zenodo record 17652035",
        "no registration at Zenodo; CC BY-NC-SA 4.0",
        "derivatives/sub-<id>/ses-02/sub-<id>_ses-02_space-ncct_dwi.nii.gz and "
        "..._lesion-msk.nii.gz",
        Volumes(
            r"(?P<root>.*/)?derivatives/(?P<sub>sub-[^/]+)/(?P<ses>ses-0*2)"
            r"/[^/]+_space-ncct_dwi\.nii\.gz",
            "{root}derivatives/{sub}/{ses}/*lesion-msk.nii.gz",
            "{sub}",
            (("ischemic stroke lesion", frozenset({1})),),
        ),
    ),
    Dataset(
        "Parse2022",
        "chest CT angiography",
        "3-D",
        "PARSE 2022, Grand Challenge: parse2022.grand-challenge.org",
        "registration; licence unknown",
        "PA<n>/image/PA<n>.nii.gz and PA<n>/label/PA<n>.nii.gz; window 1500 HU around -160",
        Volumes(
            r"(?P<root>.*/)?(?P<stem>PA\d+)/image/(?P=stem)\.nii\.gz",
            "{root}{stem}/label/{stem}.nii.gz",
            "{stem}",
            (("pulmonary artery", frozenset({1})),),
            _LUNG,
        ),
    ),
)
