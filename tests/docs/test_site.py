"""Builds the site as `make docs` does, and looks for what its pages would fetch from elsewhere."""

import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tests.paths import ROOT

ELSEWHERE = re.compile(r"^(?:https?:)?//", re.IGNORECASE)
# Tags that load what their attribute names; a link in the text only leads there.
LOADS = {"script": "src", "img": "src", "iframe": "src", "source": "src", "link": "href"}
# Relations of <link> that are addresses for robots and readers, never loaded.
NAMES_ONLY = {"canonical", "next", "prev"}


class Loads(HTMLParser):
    """Gathers what a page fetches from other hosts."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        address = given.get(LOADS.get(tag, "")) or ""
        if ELSEWHERE.match(address) and given.get("rel") not in NAMES_ONLY:
            self.found.append(address)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet"]
    command += ["--site-dir", str(out)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return out


def test_no_page_fetches_anything_from_elsewhere(site: Path) -> None:
    pages = list(site.rglob("*.html"))
    assert len(pages) > 20
    for page in pages:
        loads = Loads()
        loads.feed(page.read_text())
        assert loads.found == [], page.name


def test_no_style_fetches_anything_from_elsewhere(site: Path) -> None:
    for style in site.rglob("*.css"):
        assert re.findall(r"(?:url\(|@import)\s*['\"]?(?:https?:)?//", style.read_text()) == []


def test_what_would_be_fetched_is_noticed() -> None:
    loads = Loads()
    loads.feed('<script src="//cdn.example/x.js"></script><a href="https://example.com">x</a>')
    assert loads.found == ["//cdn.example/x.js"]
