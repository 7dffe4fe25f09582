"""Cleans what stands after a round: specks go, holes are filled, with a new candidate for each."""

from collections.abc import Mapping, Sequence

from agent.loop.context import RunContext
from agent.loop.state import RoundResult
from agent.masks.cleaning import clean
from agent.masks.selection import to_mask
from agent.policy.ledger import Ids, grade_of, is_accepted_by_client
from agent.schemas.plan import Target
from agent.schemas.rounds import Issue, Verdict, Win

# Reasons of wins that took nothing but cleaning.
CLEANED = "cleaned: the target is one thing in one piece"
CLEANED_AS_JUDGED = "cleaned: judged fragmented"


def tidy(
    incumbents: Mapping[str, Ids],
    verdicts: Mapping[str, Verdict],
    context: RunContext,
    *,
    targets: Sequence[Target],
    answers: RoundResult,
) -> tuple[dict[str, Ids], dict[str, Verdict], list[Win]]:
    """Clean incumbents: what was judged fragmented, and what this round found of one thing.

    What a person accepted and what was rejected stay as they are, and so do masks of earlier runs
    that nobody judged fragmented. No new call; each cleaned set is a win in the ledger.
    """
    standing, latest, wins = dict(incumbents), dict(verdicts), []
    single = {target.id for target in targets if is_one_thing(target)}
    for target, ids in incumbents.items():
        if is_accepted_by_client(ids, verdicts) or grade_of(ids, verdicts) in ("open", "reject"):
            continue
        fresh = answers.candidates if target in single else ()
        wanted = [name for name in ids if name in fresh or _is_fragmented(name, verdicts)]
        told = {name: _cleaned(name, latest, context) for name in wanted}
        new = tuple(told[name][0] if name in told else name for name in ids)
        if new == ids:
            continue
        standing[target] = new
        judged = any(_is_fragmented(name, verdicts) for name in ids)
        note = "; ".join(done for _, done in told.values() if done)
        reason = CLEANED_AS_JUDGED if judged else CLEANED
        wins.append(
            Win(target=target, round=answers.number, old=ids, new=new, reason=reason, note=note)
        )
    return standing, latest, wins


def is_one_thing(target: Target) -> bool:
    """Tell whether each mask of a target shows one thing in one piece, by the words for it.

    A box alone says where something is, not that it is in one piece.
    """
    return target.count == "one" and bool(target.phrases)


def _is_fragmented(name: str, verdicts: Mapping[str, Verdict]) -> bool:
    return name in verdicts and verdicts[name].issue is Issue.FRAGMENTED


def _cleaned(name: str, latest: dict[str, Verdict], context: RunContext) -> tuple[str, str]:
    """Keep a cleaned copy as a candidate under the verdict of its source.

    Returns:
        Its id and what was done, or the id of the source and "" where there was nothing to do.
    """
    source, cleaned = context.candidates[name], clean(context.mask(name))
    if not cleaned.changed:
        return name, ""
    copy = source.model_copy(
        update={
            "id": context.new_id(),
            "mask": to_mask(source.mask, cleaned.mask),
            "derived_from": name,
        }
    )
    context.add(copy)
    verdict = latest[name]
    issue = Issue.NONE if verdict.issue is Issue.FRAGMENTED else verdict.issue
    latest[copy.id] = verdict.model_copy(update={"candidate": copy.id, "issue": issue})
    return copy.id, cleaned.in_words()
