"""Contact sheets of an evaluation: the worst, median and best answers, and the false alarms."""

import hashlib
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from benchmarks.evaluation.comparison import SheetRow, draw_comparison, draw_tile
from benchmarks.evaluation.records import Case, Mode, Score
from benchmarks.evaluation.truth import read_truth
from segmenter.contract import BinaryMask, RgbImage
from segmenter.formats.decode import decode

PER_RANK = 3
MAX_ALARMS = 6
ALARMS = "false alarms"
FOREIGN_ALARMS = "false alarms, concepts of other modalities"

CaseKey = tuple[str, str, str]
Masks = Callable[[Score], BinaryMask | None]


class SheetKey(NamedTuple):
    """What one sheet shows; `concept` and `phrase` are empty for foreign questions."""

    dataset: str
    concept: str
    phrase: str
    mode: Mode
    kind: str = ""


class Chosen(NamedTuple):
    """Answers under their heading."""

    heading: str
    scores: tuple[Score, ...]


def write_pictures(
    out: Path, scores: Sequence[Score], cases: Mapping[CaseKey, Case], masks: Masks
) -> list[Path]:
    """Draw a sheet per set, concept, phrase and mode, and one per kind of false alarms.

    Pictures and annotations are read again, one at a time. The same input gives the same bytes.

    Args:
        out: folder; made if it is not there.
        scores: of all answers; failed ones are left out.
        cases: by set, image id and concept.
        masks: gives the union of an answer's masks, bool, shape (H, W) of its image; None
            without a mask.

    Returns:
        The files written, in the order of their keys.

    Raises:
        KeyError: a chosen score has no case.
        InputError: a picture or an annotation does not decode.
        OSError: a picture or an annotation cannot be read.
    """
    out.mkdir(parents=True, exist_ok=True)
    paths = []
    for key, rows in choose(scores).items():
        drawn = [
            SheetRow(row.heading, [_tile(score, cases, masks) for score in row.scores])
            for row in rows
        ]
        path = out / sheet_name(key)
        path.write_bytes(draw_comparison(_title(key), drawn))
        paths.append(path)
    return paths


def choose(scores: Iterable[Score]) -> dict[SheetKey, list[Chosen]]:
    """Choose what is drawn: `PER_RANK` answers of each rank, at most `MAX_ALARMS` false alarms.

    Answers are ranked by Dice, false alarms by joint score; ties go by image id. No answer is
    shown under two ranks: with few answers the worst come first, then the best.
    """
    ranked: dict[SheetKey, list[Score]] = defaultdict(list)
    alarms: dict[SheetKey, list[Score]] = defaultdict(list)
    for score in scores:
        if score.has_target and score.dice is not None:
            ranked[SheetKey(score.dataset, score.concept, score.phrase, score.mode)].append(score)
        elif score.found and not score.has_target:
            alarms[_alarm_key(score)].append(score)
    sheets = {key: _ranks(part) for key, part in ranked.items()}
    sheets |= {key: [_highest(key, part)] for key, part in alarms.items()}
    return {key: sheets[key] for key in sorted(sheets)}


def _alarm_key(score: Score) -> SheetKey:
    if score.foreign:
        return SheetKey(score.dataset, "", "", score.mode, FOREIGN_ALARMS)
    return SheetKey(score.dataset, score.concept, score.phrase, score.mode, ALARMS)


def _ranks(scores: Sequence[Score]) -> list[Chosen]:
    ordered = sorted(scores, key=lambda score: (score.dice, score.image_id))
    worst, rest = ordered[:PER_RANK], ordered[PER_RANK:]
    best, between = rest[-PER_RANK:], rest[:-PER_RANK]
    start = max(0, (len(between) - PER_RANK) // 2)
    middle = between[start : start + PER_RANK]
    ranks = (("worst", worst), ("around the median", middle), ("best", best[::-1]))
    return [Chosen(f"{name} of {len(scores)}", tuple(part)) for name, part in ranks]


def _highest(key: SheetKey, scores: Sequence[Score]) -> Chosen:
    ordered = sorted(scores, key=lambda score: (-score.score, score.image_id, score.concept))
    shown = tuple(ordered[:MAX_ALARMS])
    return Chosen(f"{key.kind}: the {len(shown)} surest of {len(scores)}", shown)


def sheet_name(key: SheetKey) -> str:
    """Return the file name of a sheet; letters that files cannot bear become hyphens."""
    parts = [key.dataset, key.concept, key.mode, key.kind]
    if key.phrase != key.concept:
        # Two phrases may differ in nothing but such letters.
        parts.append(f"{key.phrase} {hashlib.sha256(key.phrase.encode()).hexdigest()[:6]}")
    slugs = [re.sub(r"[^A-Za-z0-9_]+", "-", part).strip("-") for part in parts]
    return "__".join(slug for slug in slugs if slug) + ".png"


def _title(key: SheetKey) -> str:
    asked = key.concept if key.phrase == key.concept else f"{key.concept}, asked as {key.phrase!r}"
    return " - ".join(part for part in (key.dataset, asked, key.mode) if part)


def caption(score: Score) -> tuple[str, str]:
    """Return the two lines below a picture: image id, then Dice or score and presence."""
    if not score.has_target:
        asked = f"{score.concept}: " if score.foreign else ""
        return score.image_id, f"{asked}score {score.score:.2f}, presence {score.presence:.2f}"
    figure = "" if score.dice is None else f"Dice {score.dice:.3f}, "
    note = "" if score.found else ", no mask"
    return score.image_id, f"{figure}presence {score.presence:.2f}{note}"


def _tile(score: Score, cases: Mapping[CaseKey, Case], masks: Masks) -> RgbImage:
    case = cases[score.dataset, score.image_id, score.concept]
    image = decode(case.image.read_bytes()).pixels
    truth = read_truth(case, image.shape[:2]).target
    return draw_tile(image, truth, masks(score), caption(score))
