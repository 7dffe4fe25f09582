"""Reads an input as the service does, and compares with the truth."""

from collections.abc import Sequence

import numpy as np

from benchmarks.intake.contract import (
    LEVEL_TOLERANCE,
    Input,
    LabelMap,
    Outcome,
    Picture,
    TruthIsMissing,
    Volume,
)
from benchmarks.intake.label_maps import check_label_map
from benchmarks.intake.places import check_volume
from segmenter.errors import InputError
from segmenter.formats.decode import decode

REFUSE = "to be refused"


def check(given: Input) -> Outcome:
    """Return the row of an input.

    Raises:
        TruthIsMissing: a program is not there that knows the truth.
    """
    if isinstance(given, Volume):
        return check_volume(given)
    if isinstance(given, LabelMap):
        return check_label_map(given)
    return _check_picture(given)


def _check_picture(given: Picture) -> Outcome:
    content = given.build()
    truth = REFUSE if given.truth is None else given.truth.name
    try:
        decoded = decode(content)
    except InputError as error:
        return Outcome(given.name, given.kind, str(error), truth, "", "refused with words")
    shown = decoded.rendering
    if given.truth is None:
        return Outcome(given.name, given.kind, shown, truth, "", "wrong")
    expected = given.truth.read(content)
    if expected.shape != decoded.pixels.shape:
        return Outcome(given.name, given.kind, shown, truth, "another size", "wrong")
    levels = int(np.abs(decoded.pixels.astype(np.int16) - expected).max())
    good = levels <= LEVEL_TOLERANCE
    said = f"{levels} of 255"
    return Outcome(given.name, given.kind, shown, truth, said, "right" if good else "wrong")


def check_all(inputs: Sequence[Input]) -> list[Outcome]:
    """Return the rows of all inputs, in order.

    Raises:
        TruthIsMissing: and of which input.
    """
    outcomes = []
    for given in inputs:
        try:
            outcomes.append(check(given))
        except TruthIsMissing as error:
            raise TruthIsMissing(f"{given.kind}, {given.name}: {error}") from error
    return outcomes
