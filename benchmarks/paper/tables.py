"""The figures of the MedSAM-3 paper, as printed (arXiv 2511.19046, Tables 1 to 6)."""

from typing import NamedTuple

from benchmarks.evaluation.records import Mode
from benchmarks.paper.ours import match

SOURCE = "arXiv 2511.19046"

# Table 1; several phrases are separate questions.
PHRASES: dict[str, tuple[str, ...]] = {
    "COVID-QU-Ex": ("lung infection",),
    "DSB 2018": ("nuclei",),
    "BUSI": ("breast tumor",),
    "GOALS": ("RNFL", "GCIPL", "choroid"),
    "RIM-ONE": ("optic cup", "optic disc"),
    "ISIC 2018": ("skin lesion",),
    "RAVIR": ("retinal arteries", "retinal veins"),
    "Kvasir-SEG": ("polyp",),
    "MoNuSeg": ("nuclei",),
    "PolypGen": ("polyp",),
    "LiTS": ("liver", "liver tumor"),
    "PROMISE12": ("prostate",),
    "ISLES 2024": ("ischemic stroke lesion",),
    "Parse2022": ("pulmonary artery",),
}


class Table(NamedTuple):
    """One table of Dice values.

    Attributes:
        number: as in the paper.
        title: what it compares.
        columns: datasets; those of Table 6 are ``dataset: phrase``.
        rows: method and its values as printed, one per column.
    """

    number: int
    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[str, ...]], ...]


class Figure(NamedTuple):
    """One value of the paper.

    Attributes:
        table: number of its table.
        method: name of its row.
        dataset: name of its column.
        dice: [0, 1].
    """

    table: int
    method: str
    dataset: str
    dice: float


def _rows(text: str) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Read lines of ``method | values``."""
    parts = (line.split("|") for line in text.strip().splitlines())
    return tuple((method.strip(), tuple(values.split())) for method, values in parts)


TABLE_2 = Table(
    2,
    "MedSAM-3 and other methods",
    ("BUSI", "RIM-ONE(Cup)", "ISIC 2018", "Kvasir-SEG"),
    _rows("""
U-Net         | 0.7618 0.8480 0.8760 0.8244
MedSAM        | 0.7514 0.8479 0.9177 0.7657
SAM 3 T       | 0      0      0.2189 0
SAM 3 T+I     | 0.7110 0.8303 0.8178 0.7671
MedSAM-3 T    | 0.2674 0.0826 0.5687 0.1441
MedSAM-3 T+I  | 0.7772 0.8977 0.9058 0.8831
"""),
)
TABLE_3 = Table(
    3,
    "MedSAM-3 Agent (with Gemini 3 Pro)",
    ("BUSI",),
    _rows("""
U-Net          | 0.7618
MedSAM         | 0.7514
MedSAM-3 T+I   | 0.7772
MedSAM-3 Agent | 0.8064
"""),
)
TABLE_4 = Table(
    4,
    "SAM 3 and supervised networks, 2-D and video",
    (
        "COVID-QU-Ex",
        "DSB 2018",
        "BUSI",
        "GOALS",
        "RIM-ONE(Cup)",
        "RIM-ONE(Disc)",
        "ISIC 2018",
        "RAVIR",
        "Kvasir-SEG",
        "MoNuSeg",
        "PolypGen",
    ),
    _rows("""
U-Net     | 0.7880 0.8936 0.7618 0.7902 0.8480 0.9514 0.8760 0.7539 0.8244 0.6696 0.6897
Unet3+    | 0.7928 0.9545 0.7782 0.8513 0.8206 0.9545 0.8797 0.7681 0.8321 0.6595 0.7634
Polyp-PVT | 0.7800 0.9420 0.7457 0.8487 0.8406 0.9420 0.8917 0.5284 0.8536 0.3472 0.6205
SAM 3 T   | 0.0305 0.0803 0      0      0      0.3858 0.2189 0      0      0      0
SAM 3 T+I | 0.7405 0.6953 0.7110 0.8108 0.8303 0.9270 0.8178 0.2163 0.7671 0.4135 0.6903
"""),
)
TABLE_5 = Table(
    5,
    "SAM 3 and supervised networks, 3-D",
    ("Parse2022", "LiTS", "PROMISE12", "ISLES2024"),
    _rows("""
nn-UNet    | 0.8311 0.7714 0.9011 0.7718
Swin UNETR | 0.8134 0.7425 0.8934 0.7523
U-Mamba    | 0.7692 0.7910 0.9002 0.7566
SAM 3 T    | 0.5295 0.1374 0.6110 0.3033
"""),
)
TABLE_6 = Table(
    6,
    "SAM 3 asked with two phrases",
    ("MoNuSeg: nuclei", "MoNuSeg: cell", "DSB 2018: nuclei", "DSB 2018: cell"),
    _rows("""
SAM 3 T   | 0      0.6786 0.0803 0.5753
SAM 3 T+I | 0.4135 0.7907 0.6953 0.7384
"""),
)
TABLES = (TABLE_2, TABLE_3, TABLE_4, TABLE_5, TABLE_6)

# MedSAM is asked with a box alone. Supervised networks are asked with nothing: in no mode.
METHODS: dict[Mode, tuple[str, ...]] = {
    "T": ("SAM 3 T", "MedSAM-3 T"),
    "T+I": ("SAM 3 T+I", "MedSAM-3 T+I"),
    "box": ("MedSAM",),
    "agent": ("MedSAM-3 Agent",),
}


def paper_figures(dataset: str, concept: str, mode: Mode) -> list[Figure]:
    """Return what the paper has for one of our sets, asked in the same way.

    Args:
        dataset: name of our set.
        concept: the phrase asked with; ``cell`` is known for the nuclei sets (Table 6).
        mode: ours; ``T+I moved`` has no counterpart.

    Returns:
        The figures in the order of the tables; none where the paper has no such data.
    """
    wanted = METHODS.get(mode, ())
    columns = _columns(dataset, concept)
    return [
        Figure(table.number, method, column, float(value))
        for table in TABLES
        for method, values in table.rows
        if method in wanted
        for column, value in zip(table.columns, values, strict=True)
        if column in columns
    ]


def _columns(dataset: str, concept: str) -> set[str]:
    plain = match(dataset, concept)
    prompted = match(dataset, "nuclei")
    names = {plain.column} if plain else set()
    return names | ({f"{prompted.column}: {concept}"} if prompted else set())
