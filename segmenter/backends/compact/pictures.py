"""What each concept of the bundled weights was trained on, and what a find of it is worth."""

from functools import cache
from pathlib import Path

from segmenter.contract import Frozen

_FILE = Path(__file__).with_name("pictures.json")


class Pictures(Frozen):
    """The file as it stands; see `segmenter.contract.Capabilities`."""

    sources: tuple[str, ...]
    pictures: dict[str, str]
    unproven: tuple[str, ...]


@cache
def load_pictures() -> Pictures:
    """Read the file that is shipped with the code."""
    return Pictures.model_validate_json(_FILE.read_text(encoding="utf-8"))
