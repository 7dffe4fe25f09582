"""Named grey windows of CT, in Hounsfield units."""

from segmenter.errors import InvalidPrompt
from segmenter.formats.decoded import Window

PRESETS: dict[str, Window] = {
    "abdomen": Window(50.0, 400.0),
    "bone": Window(400.0, 1800.0),
    "brain": Window(40.0, 80.0),
    "liver": Window(30.0, 150.0),
    "lung": Window(-600.0, 1500.0),
    "mediastinum": Window(50.0, 350.0),
    "soft tissue": Window(50.0, 400.0),
}
"""Centre and width by name. Source: Radiopaedia, "Windowing (CT)", typical values."""


def preset_window(name: str, modality: str | None) -> Window:
    """Return a preset's window.

    Args:
        name: of `PRESETS`.
        modality: DICOM code of the file; None where the format has none (NIfTI).

    Raises:
        InvalidPrompt: no such preset, or the file says that it is no CT.
    """
    if name not in PRESETS:
        raise InvalidPrompt(
            f"no window preset {name!r}; there are {', '.join(PRESETS)}", field="preset"
        )
    if modality not in (None, "CT"):
        raise InvalidPrompt(f"window presets are of CT, and this is {modality}", field="preset")
    return PRESETS[name]
