"""What answers are made of: what a run shows, and what it knows of the picture. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from agent.language.lexicon import Lexicon, normalise
from agent.planners.sides import Frame, later_frame
from agent.planners.targets import REGION_LABEL
from agent.schemas.plan import Target
from agent.schemas.rounds import Round
from agent.schemas.runs import EarlierResult, ResultMask, TargetResult
from segmenter.contract import Box, ImageRef, Measures, Rle
from segmenter.masks.rle import decode
from segmenter.measures.mask import measure

UNNAMED = "the structure"


@dataclass(frozen=True)
class Shown:
    """A mask that is shown, or a piece of one.

    Attributes:
        item: the mask; of a piece the one it is part of.
        is_piece: the measures are of a part of the mask.
    """

    item: ResultMask
    rle: Rle
    box: Box
    measures: Measures
    is_piece: bool = False

    @property
    def id(self) -> str:
        """The mask's id in the thread."""
        return self.item.candidate.id


@dataclass(frozen=True)
class Findings:
    """What a run shows at its end.

    Attributes:
        targets: of the run, kept ones included.
        worked: ids of those that the run worked on.
        spoken: targets that "it" means if the run worked on none.
        earlier: what stood for targets before their last change.
        rounds: of the run.
        requests: of the thread and the run, verbatim: only their words are ever quoted.
        modality: our name of it, or ``unknown``.
        concepts: that the model knows; None for an open vocabulary.
        sources: by id of a mask that was made of another one (cleaned, edited, cut): the other's.
    """

    image: ImageRef
    lexicon: Lexicon
    targets: tuple[TargetResult, ...] = ()
    worked: frozenset[str] = frozenset()
    spoken: tuple[Target, ...] = ()
    earlier: tuple[EarlierResult, ...] = ()
    rounds: tuple[Round, ...] = ()
    requests: tuple[str, ...] = ()
    modality: str = "unknown"
    concepts: tuple[str, ...] | None = ()
    sources: Mapping[str, str] = field(default_factory=dict)
    _measured: dict[str, Measures] = field(default_factory=dict, compare=False, repr=False)

    @cached_property
    def said(self) -> frozenset[str]:
        """Every word of the requests."""
        return frozenset(word for text in self.requests for word in normalise(text))

    def is_said(self, words: str) -> bool:
        """Tell whether words are the caller's own, and not a model's."""
        return set(normalise(words)) <= self.said

    def shown(self, item: ResultMask) -> Shown:
        """Return a mask with its measures."""
        mask, name = item.candidate.mask, item.candidate.id
        measures = item.measures or self._measured.get(name)
        if measures is None:
            measures = measure(decode(mask.rle), self.image.spacing)
            self._measured[name] = measures
        return Shown(item, mask.rle, mask.box, measures)

    def made_of(self, mask_id: str, ids: Iterable[str]) -> list[str]:
        """Return those of some masks that were made of a mask that is not shown any more."""
        return [name for name in ids if mask_id in self._line_of(name)]

    def _line_of(self, mask_id: str) -> set[str]:
        line: set[str] = set()
        while (source := self.sources.get(mask_id)) is not None:
            line.add(source)
            mask_id = source
        return line

    def may_name(self, words: str) -> bool:
        """Tell whether words are the lexicon's, the caller's or the tool's, and no MLLM's own."""
        listed = self.concepts is not None and words in self.concepts
        return listed or bool(self.lexicon.terms_of(normalise(words))) or self.is_said(words)

    def may_repeat(self, reason: str) -> bool:
        """Tell whether a reason names targets only as they may be named."""
        labels = (result.target.label for result in self.targets)
        return all(self.may_name(label) for label in labels if label in reason)

    def name_of(self, target: Target) -> str:
        """Return what a target is called, without a model's own words."""
        label = target.label
        return label if label == REGION_LABEL or self.may_name(label) else UNNAMED

    def frame_of(self, target: Target) -> Frame:
        """Tell whose left and right are meant of a target on this picture."""
        return later_frame(target, self.modality, self.lexicon)

    def earlier_of(self, target: str) -> EarlierResult | None:
        """Return what stood for a target before its last change."""
        by_target: Mapping[str, EarlierResult] = {each.target: each for each in self.earlier}
        return by_target.get(target)
