"""The tiny SAM 3, loaded once for the whole run: nobody may change these networks."""

import pytest

from tests.segmenter.backends.sam3.vectors import LORA, LORA_CONFIG, TINY

LOAD = "segmenter.backends.sam3.weights.load"


@pytest.fixture(scope="session")
def tiny_network():
    """SAM 3 alone."""
    return pytest.importorskip(LOAD).load_network(TINY)


@pytest.fixture(scope="session")
def adapted():
    """The same with MedSAM-3's adapter, which can be switched off."""
    return pytest.importorskip(LOAD).load_network(TINY, lora=LORA, lora_config=LORA_CONFIG)
