"""What a run starts from."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from agent.policy.next_calls import Flaw
from agent.schemas.intent import Intent, Operation, Thing
from agent.schemas.plan import Call, Target
from agent.schemas.rounds import Candidate, Verdict
from agent.schemas.runs import TargetResult
from segmenter.contract import Box


@dataclass(frozen=True)
class Opening:
    """What a run starts from: a fresh image, or what a thread holds after a person's word.

    Attributes:
        intent: what the request means.
        looked_for: things to look for: those to find, and those that operations and questions are
            about and that are not there.
        hidden: things that are looked for only to be subtracted, and not shown.
        deferred: operations on what the run is to find.
        notes: what was done already, or why not, in plain words.
        spoken: the targets that the request speaks of, as far as they are there.
        kept: targets of earlier runs that stay as they are.
        reopened: targets to work on again.
        retried: ids of the reopened ones to look for with a lowered threshold.
        incumbents: ids of the sets that stand for the reopened ones.
        flaws: what the person said is wrong with a reopened one, and their box if they drew one.
        boxes: the person's box for a reopened one.
        box: the person's box for what is looked for.
        asks_planner: the request may name something new.
        emptied: the request took away all that stood.
    """

    intent: Intent
    looked_for: tuple[Thing, ...] = ()
    hidden: tuple[Thing, ...] = ()
    deferred: tuple[Operation, ...] = ()
    notes: tuple[str, ...] = ()
    spoken: tuple[Target, ...] = ()
    kept: tuple[TargetResult, ...] = ()
    reopened: tuple[Target, ...] = ()
    retried: frozenset[str] = frozenset()
    incumbents: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    flaws: Mapping[str, Flaw] = field(default_factory=dict)
    boxes: Mapping[str, Box] = field(default_factory=dict)
    box: Box | None = None
    verdicts: tuple[Verdict, ...] = ()
    candidates: tuple[Candidate, ...] = ()
    tried: tuple[Call, ...] = ()
    modality: str = "unknown"
    next_mask: int = 1
    next_target: int = 1
    asks_planner: bool = True
    emptied: bool = False

    def drawn(self) -> dict[str, Box | None]:
        """Return for each reopened target the person's box for it, None without one."""
        return {target.id: self.boxes.get(target.id) for target in self.reopened}
