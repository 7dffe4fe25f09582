"""What is ready when the service says it has started."""

from functools import partial

from fastapi.testclient import TestClient

from agent.language.detection import english_words
from agent.language.language_tables import TRANSLATED, language_table
from api.bootstrap.parts import open_parts
from api.bootstrap.setup import Setup
from api.http.app import create_app
from api.settings import Settings
from segmenter.backends.compact.backend import CompactBackend
from tests.api.conftest import BASE_URL


def test_the_words_of_all_languages_are_loaded_before_the_first_request() -> None:
    app = create_app(Settings(), partial(open_parts, Setup(Settings(), lambda _: CompactBackend())))
    for table in (language_table, english_words):
        table.cache_clear()
    with TestClient(app, base_url=BASE_URL):
        assert language_table.cache_info().currsize == len(TRANSLATED)
