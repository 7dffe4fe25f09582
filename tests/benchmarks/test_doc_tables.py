import json
from pathlib import Path

import pytest

from benchmarks.doc_tables import CARD, PAGES, PLACE, TABLES, concepts_table, filled

CARD_TEXT = CARD.read_text("utf-8")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_figures_of_the_docs_are_those_of_the_model_card(page: Path) -> None:
    text = page.read_text("utf-8")
    assert PLACE.search(text)
    assert filled(text, CARD_TEXT) == text


def test_every_table_has_a_place_in_the_docs() -> None:
    places = {place["name"] for page in PAGES for place in PLACE.finditer(page.read_text("utf-8"))}
    assert places == set(TABLES)


def test_no_concept_of_the_model_is_left_out() -> None:
    metadata = json.loads((CARD.parent / "metadata.json").read_text("utf-8"))
    shown = [line.split("|")[1].strip() for line in concepts_table(CARD_TEXT)][2:]
    assert set(shown) == {concept["name"] for concept in metadata["concepts"]}


def test_a_figure_changed_in_the_card_changes_the_docs() -> None:
    page = PAGES[0].read_text("utf-8")
    assert filled(page, CARD_TEXT.replace("| prostate | 0.315", "| prostate | 0.415")) != page
