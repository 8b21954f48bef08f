"""Follow-ups: which can't go on by themselves, and the remedies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from upshot.insights.reader import Reader
from upshot.ops.doctor.finding import Finding, State
from upshot.ops.doctor.pages import Worker
from upshot.ops.doctor.words import span

CHECK = "follow-ups"
#: Seconds that a worker may take to take up a deferral, or the answer to a wait whose deadline has passed.
_TAKES = 120
#: Seconds after which an execution is worth a word.
_LONG = 600.0
#: Scorers that are named at the most.
_NAMED = 5

_STANDS = "SELECT status, count() FROM current_followups GROUP BY status"
_UNDEPLOYED = """
SELECT scorer, version, count() AS followups FROM current_followups
WHERE status = 'undeployed' GROUP BY scorer, version ORDER BY followups DESC, scorer, version
"""
_FAILED = """
SELECT scorer, version, count() AS followups, argMax(error, changed_at) FROM current_followups
WHERE status = 'failed' GROUP BY scorer, version ORDER BY followups DESC, scorer, version
"""
_NOT_TAKEN = f"""
SELECT count(), any(scorer) FROM deferrals
WHERE recorded_at < now64(6) - INTERVAL {_TAKES} SECOND
    AND followup_id NOT IN (SELECT followup_id FROM current_followups)
"""
_NOT_ANSWERED = f"""
SELECT count(), any(followup_id) FROM current_followups
WHERE status = 'waiting' AND notEmpty(waiting_for)
    AND arrayMin(one -> one.deadline, waiting_for) < now64(6) - INTERVAL {_TAKES} SECOND
"""


class FollowupStanding(NamedTuple):
    """The tables' numbers. Rows of `undeployed` are (scorer, version, count), of `failed` have the last error
    too.
    """

    counts: dict[str, int]
    undeployed: Sequence[Sequence[Any]] = ()
    failed: Sequence[Sequence[Any]] = ()
    #: How many, and an example.
    not_taken: tuple[int, str] = (0, "")
    not_answered: tuple[int, str] = (0, "")


def examine_followups(reader: Reader) -> Finding:
    """A single finding of all follow-ups together."""
    [[waiting, late]] = reader.query(_NOT_ANSWERED).rows
    [[untaken, scorer]] = reader.query(_NOT_TAKEN).rows
    return followups(
        FollowupStanding(
            {str(status): int(count) for status, count in reader.query(_STANDS).rows},
            reader.query(_UNDEPLOYED).rows,
            reader.query(_FAILED).rows,
            (int(untaken), str(scorer)),
            (int(waiting), str(late)),
        )
    )


def followups(standing: FollowupStanding) -> Finding:
    """The worst first, each with its remedy."""
    lines: list[tuple[State, str, str]] = []
    if standing.not_taken[0]:
        count, scorer = standing.not_taken
        found = f"{count:,} deferrals, such as of {scorer}, that no worker has taken up"
        lines.append(("wrong", found, "run their code: upshot worker --app MODULE:NAME"))
    if standing.undeployed:
        found = f"no worker has the code of {_named(standing.undeployed)}"
        lines.append(("wrong", found, "deploy an app that has it; they are kept, and go on then"))
    if standing.not_answered[0]:
        count, example = standing.not_answered
        found = f"{count:,} wait beyond their deadline, such as {example}"
        lines.append(("wrong", found, "see the lines of correlate and of followups, and their logs"))
    if standing.failed:
        error = str(standing.failed[0][3]).partition("\n")[0]
        found = f"failed: {_named(standing.failed)}, the last with {error}"
        lines.append(("notice", found, "mend and deploy the code, then: upshot followups retry --all-failed"))
    if lines:
        state, _, to_do = lines[0]
        return Finding(CHECK, state, "; ".join(found for _, found, _ in lines), to_do)
    alive = {status: count for status, count in sorted(standing.counts.items()) if count}
    return Finding(CHECK, "fine", ", ".join(f"{n:,} {status}" for status, n in alive.items()) or "none")


def executions(workers: Sequence[Worker]) -> Finding:
    """Whether the code of follow-ups ends."""
    running = sum(worker.now("upshot.followups.running") for worker in workers)
    oldest = max(worker.now("upshot.followups.running.oldest") for worker in workers)
    found = f"{running:,.0f} are running"
    if oldest <= _LONG:
        return Finding("executions", "fine", found)
    to_do = "look for what that code waits for outside of ctx; a scorer's timeout= ends it sooner"
    return Finding("executions", "notice", f"{found}, the oldest for {span(oldest)}", to_do)


def _named(rows: Sequence[Sequence[Any]]) -> str:
    named = [f"{scorer} version {version} ({int(count):,})" for scorer, version, count, *_ in rows[:_NAMED]]
    more = f" and {len(rows) - _NAMED} more" if len(rows) > _NAMED else ""
    return ", ".join(named) + more


__all__ = ["CHECK", "FollowupStanding", "examine_followups", "executions", "followups"]
