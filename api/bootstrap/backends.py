"""Loads the model that the settings name."""

from typing import Any

from api.settings import Settings, variable
from segmenter.backends.compact.backend import CompactBackend
from segmenter.backends.contract import Backend

SAM3_INSTALL = "pip install torch==2.13.0, then pip install 'medsam3-agent[sam3]'"


class WeightsFault(RuntimeError):
    """The model's weights are missing or damaged."""


def load_backend(settings: Settings) -> Backend[Any]:
    """Load the model that the settings name; takes about a second.

    Raises:
        WeightsFault: its weights are missing or not the ones they should be.
    """
    if settings.backend == "sam3":
        return _load_sam3(settings)
    try:
        return CompactBackend()
    except (OSError, ValueError) as error:
        raise WeightsFault(
            f"the bundled model does not load ({type(error).__name__}): medsam3 doctor tells more"
        ) from error


def _load_sam3(settings: Settings) -> Backend[Any]:
    """Load SAM 3; its packages are big and not everybody's, so they are imported here.

    Raises:
        WeightsFault: a package or the weights are missing, or the weights are not of SAM 3.
    """
    if not settings.sam3.weights:
        raise WeightsFault(f"{variable('backend')}=sam3 needs {variable('sam3_weights')}")
    try:
        from segmenter.backends.sam3.errors import WeightsError
        from segmenter.backends.sam3.factory import open_sam3
    except ModuleNotFoundError as error:
        raise WeightsFault(f"SAM 3 needs {error.name}: {SAM3_INSTALL}") from error
    try:
        return open_sam3(settings.sam3)
    except (WeightsError, OSError) as error:
        raise WeightsFault(f"the SAM 3 weights do not load: {error}") from error
