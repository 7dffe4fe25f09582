"""Fixtures of the training tests."""

import pytest

from tests.segmenter.training.drawings import write_data


@pytest.fixture(scope="session")
def drawings(tmp_path_factory):
    """A data folder of two small sets."""
    return write_data(tmp_path_factory.mktemp("drawings"))
