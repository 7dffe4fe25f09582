import numpy as np
import pytest

from segmenter.training.compact.views import OBJECT, Views, row_shares
from segmenter.training.concepts import CONCEPTS, MODALITIES, NAMES, foreign_concepts
from segmenter.training.dataset import load, read_rows
from tests.segmenter.training.drawings import SIDE, tiny_settings


@pytest.fixture(scope="module")
def views(drawings):
    samples, _ = load(read_rows(drawings, "train"))
    return Views(samples, tiny_settings().sampling, side=SIDE, seed=5, count=300)


def test_a_view_depends_on_its_number_alone(views):
    views[3]
    first, again = views[17], views[17]
    for one, other in zip(first, again, strict=True):
        np.testing.assert_array_equal(one, other)


def test_views_have_the_declared_shapes_and_values(views):
    for number in range(40):
        view = views[number]
        assert view.rgb.shape == (SIDE, SIDE, 3)
        assert view.target.shape == (SIDE, SIDE)
        assert set(np.unique(view.target)) <= {0, 1}
        assert 0 <= view.concept < len(NAMES)


def test_a_concept_is_called_absent_only_if_annotated_so_or_ruled_out_by_the_modality(views):
    breast, polyp = NAMES.index("breast tumor"), NAMES.index("polyp")
    # Both sets of the drawings rule out what neither shows; nothing else may be asked.
    allowed = (
        {breast, polyp, OBJECT}
        | set(foreign_concepts("busi"))
        | set(foreign_concepts("kvasir_seg"))
    )
    asked = {views[number].concept for number in range(300)}
    assert asked <= allowed
    assert len(asked) > 5


def test_what_is_boxed_lies_mostly_in_its_box(views):
    shares = []
    for number in range(300):
        view = views[number]
        if view.box.any() and view.target.any():
            x0, y0, x1, y1 = view.box.round().astype(int)
            shares.append(view.target[y0:y1, x0:x1].sum() / view.target.sum())
    assert len(shares) > 50
    assert np.mean(shares) > 0.9


def test_boxes_negatives_and_the_object_token_come_in_about_their_shares(views):
    drawn = [views[number] for number in range(300)]
    assert 0.25 <= np.mean([view.box.any() for view in drawn]) <= 0.45
    assert 0.05 <= np.mean([not view.target.any() for view in drawn]) <= 0.35
    assert 0.03 <= np.mean([view.concept == OBJECT for view in drawn]) <= 0.18


def test_sets_weigh_as_the_root_of_their_images_times_the_bonus(drawings):
    rows = read_rows(drawings, "train")
    shares = row_shares(rows, {"busi": 2.0})
    ours = sum(share for row, share in zip(rows, shares, strict=True) if row.dataset == "busi")
    assert shares.sum() == pytest.approx(1)
    assert ours == pytest.approx(2 / 3)


@pytest.mark.parametrize("dataset", sorted(MODALITIES))
def test_no_concept_of_a_modality_is_ruled_out_by_it(dataset):
    foreign = foreign_concepts(dataset)
    assert foreign
    assert all(MODALITIES[dataset] not in CONCEPTS[number].modalities for number in foreign)
