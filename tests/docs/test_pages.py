"""Nothing that exists is missing from its page, and nothing stands there that does not exist."""

import json
import re
import subprocess
import sys

import pytest

from api.settings import Settings, variable
from tests.paths import ROOT

DOCS = ROOT / "docs"
README_LINES = 200
# Of every environment variable; those of SAM 3 are a model of their own.
DEFAULTS = {
    variable(prefix + field): getattr(options, field)
    for options, prefix in ((Settings(), ""), (Settings().sam3, "sam3_"))
    for field in type(options).model_fields
    if field != "sam3"
}
LINK = re.compile(r"\]\((?!https?:|#)([^)#]+)")


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= README_LINES


def test_links_of_the_readme_lead_somewhere() -> None:
    links = LINK.findall((ROOT / "README.md").read_text())
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_every_route_is_in_the_http_guide() -> None:
    page = (DOCS / "http.md").read_text()
    document = json.loads((ROOT / "api" / "openapi.json").read_text())
    headings = " ".join(re.findall(r"^#.*$", page, re.MULTILINE))
    for path, methods in document["paths"].items():
        # Routes of one kind share a heading, the later ones shortened to what differs.
        named = path in headings or path.removeprefix("/agent/runs/{run_id}") in headings
        assert named, path
        for method in methods:
            assert method == "get" or f"{method.upper()} {path}" in headings


def test_every_command_is_on_its_page() -> None:
    page = (DOCS / "cli.md").read_text()
    headings = re.findall(r"^## (.*)$", page, re.MULTILINE)
    told = {name for heading in headings for name in re.findall(r"`([\w-]+)`", heading)}
    command = [sys.executable, "-m", "api", "--help"]
    printed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert told == set(re.findall(r"^    ([a-z][\w-]*)", printed, re.MULTILINE))


@pytest.mark.parametrize(("name", "default"), DEFAULTS.items())
def test_every_setting_is_told_with_its_default(name: str, default: object) -> None:
    page = (DOCS / "deployment.md").read_text()
    if default in (None, (), ""):
        shown = "none"
    elif isinstance(default, float):
        shown = f"{default:g}"
    else:
        shown = str(default).lower() if isinstance(default, bool) else str(default)
    assert f"\n| `{name}` | {shown} | " in page


def test_no_setting_is_told_that_does_not_exist() -> None:
    pages = "".join(page.read_text() for page in DOCS.rglob("*.md"))
    named = set(re.findall(r"MEDSAM3_\w+", pages))
    assert named - DEFAULTS.keys() <= {"MEDSAM3_", "MEDSAM3_SHARED"}
