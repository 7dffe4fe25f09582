import numpy as np
import pytest

from agent.drawing.sheets import MAX_PANELS
from agent.planners.panels import choose_panels, comparison_panels, to_crops, to_sheet
from segmenter.contract import BinaryMask
from tests.agent.examples import rectangle, round_view


def masks(count: int, first: int = 1) -> dict[str, BinaryMask]:
    return {f"m{first + n}": rectangle(n, n, n + 10, n + 8) for n in range(count)}


def labels(*args: object, **rest: object) -> list[str]:
    return [panel.label for panel in choose_panels(round_view(*args, **rest))]  # type: ignore[arg-type]


def test_every_candidate_has_its_panel_while_there_is_room() -> None:
    assert sorted(labels(masks(4))) == ["M1", "M2", "M3", "M4"]


def test_the_incumbent_comes_first_and_has_no_second_panel() -> None:
    shown = choose_panels(round_view(masks(4), number=2, incumbents={"t1": ("m1", "m2")}))
    assert shown[0].label == "M0"
    assert shown[0].candidates == ("m1", "m2")
    assert shown[0].incumbent
    assert sorted(panel.label for panel in shown[1:]) == ["M3", "M4"]


def test_several_targets_have_an_incumbent_each() -> None:
    shown = labels(masks(4), number=2, targets=2, incumbents={"t1": ("m1",), "t2": ("m2",)})
    assert shown[:2] == ["M0a", "M0b"]


def test_the_order_of_the_others_is_shuffled_by_the_seed_alone() -> None:
    orders = {tuple(labels(masks(5), seed=seed)) for seed in range(20)}
    assert len(orders) > 5
    assert labels(masks(5), seed=3) == labels(masks(5), seed=3)


def test_masks_of_one_call_share_a_panel_when_there_is_no_room() -> None:
    (shown,) = choose_panels(round_view(masks(12), same_call=True))
    assert shown.label == "M1"
    assert len(shown.candidates) == 12


def test_there_are_never_more_panels_than_fit_and_every_target_has_one() -> None:
    shown = choose_panels(round_view(masks(20), targets=4))
    assert len(shown) == MAX_PANELS
    assert {panel.target for panel in shown} == {"t1", "t2", "t3", "t4"}


def test_nothing_found_means_no_panel() -> None:
    assert choose_panels(round_view({})) == ()


def test_what_is_told_of_a_panel_is_what_it_shows() -> None:
    (shown,) = choose_panels(round_view({"m1": rectangle(8, 6, 32, 24)}))
    assert shown.box is not None
    assert shown.box.as_tuple() == (8, 6, 32, 24)
    assert shown.area_share == pytest.approx(24 * 18 / (64 * 48))
    assert shown.colour == "cyan"


def test_a_comparison_has_two_panels_in_the_order_asked() -> None:
    first, second = comparison_panels(round_view(masks(3)), ("m3", "m1"), ("m2",))
    assert (first.label, first.candidates) == ("A", ("m3", "m1"))
    assert (second.label, second.candidates) == ("B", ("m2",))


def test_an_empty_set_in_a_comparison_is_an_empty_panel() -> None:
    panels = comparison_panels(round_view(masks(1)), ("m1",), ())
    assert [len(panel.masks) for panel in to_sheet(panels)] == [1, 0]
    assert [item.label for item in to_crops(panels)] == ["A"]


def test_the_crop_of_a_set_covers_all_its_masks() -> None:
    (item,) = to_crops(choose_panels(round_view(masks(9), same_call=True)))
    assert np.array_equal(item.mask, np.logical_or.reduce(list(masks(9).values())))
