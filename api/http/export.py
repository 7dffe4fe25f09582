"""``python -m api.http.export``: write the OpenAPI document that is kept in the repository."""

from contextlib import AbstractAsyncContextManager

from api.bootstrap.parts import AppServices
from api.http.app import create_app
from api.http.openapi.document import EXPORTED, export
from api.settings import Settings


def write() -> None:
    """Write ``api/openapi.json``."""
    EXPORTED.write_text(export(create_app(Settings(), _never)), encoding="utf-8")


def _never() -> AbstractAsyncContextManager[AppServices]:
    raise AssertionError("a document needs no parts")


if __name__ == "__main__":
    write()
