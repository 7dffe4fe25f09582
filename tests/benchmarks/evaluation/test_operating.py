"""Operating points beside counts done by hand."""

from benchmarks.evaluation.operating import Point, curves, most_specific
from benchmarks.evaluation.records import Mode, Score


def score(
    joint: float, *, target: bool, mode: Mode = "T", concept: str = "tumor", foreign: bool = False
) -> Score:
    return Score(
        dataset="set",
        image_id=f"{joint}-{target}",
        concept=concept,
        phrase=concept,
        group="g",
        mode=mode,
        foreign=foreign,
        has_target=target,
        found=joint > 0,
        status="found" if joint > 0 else "not_found",
        score=joint,
    )


SCORES = [
    score(0.9, target=True),
    score(0.6, target=True),
    score(0.3, target=True),
    score(0.0, target=True),
    score(0.5, target=False),
    score(0.2, target=False),
    score(0.0, target=False),
    score(0.1, target=False),
]


def test_every_joint_score_is_a_threshold() -> None:
    (curve,) = curves(SCORES)
    assert (curve.set, curve.concept, curve.n, curve.n_absent) == ("set", "tumor", 4, 4)
    assert curve.points == (
        Point(0.1, 0.75, 0.25),
        Point(0.2, 0.75, 0.5),
        Point(0.3, 0.75, 0.75),
        Point(0.5, 0.5, 0.75),
        Point(0.6, 0.5, 1.0),
        Point(0.9, 0.25, 1.0),
    )


def test_the_most_specific_of_the_sensitive_points_is_found() -> None:
    (curve,) = curves(SCORES)
    assert most_specific(curve, sensitivity=0.75) == Point(0.3, 0.75, 0.75)
    assert most_specific(curve, sensitivity=0.5) == Point(0.6, 0.5, 1.0)
    assert most_specific(curve, sensitivity=0.8) is None


def test_only_annotated_text_questions_of_both_kinds_make_a_curve() -> None:
    others = [
        score(0.9, target=True, concept="cup"),
        score(0.9, target=False, concept="polyp"),
        score(0.95, target=False, foreign=True),
        score(0.99, target=False, mode="agent"),
    ]
    assert curves([*SCORES, *others]) == curves(SCORES)
