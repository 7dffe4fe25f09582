"""The one list of inputs. A row is its name, its kind, how it is built, and who knows better."""

from collections.abc import Sequence

from benchmarks.intake.contract import Input
from benchmarks.intake.inputs import colour, encoded, grey, headers, labels, tables, volumes

INPUTS: Sequence[Input] = (
    *grey.INPUTS,
    *tables.INPUTS,
    *colour.INPUTS,
    *encoded.INPUTS,
    *headers.INPUTS,
    *volumes.INPUTS,
    *labels.INPUTS,
)
