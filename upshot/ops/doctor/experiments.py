"""Experiments in the last day: runs that got the control without an exposure, and variants nobody listed."""

from __future__ import annotations

from collections.abc import Sequence

from upshot.errors import QueryFailed
from upshot.insights.reader import Reader
from upshot.ops.doctor.finding import Finding, unknown

CHECK = "experiments"
_SHOWN = 5

#: The SDK notes on the run why an experiment gave the control: no unit, an arm that the code lacks, a fault.
_NOT_EXPOSED = """
SELECT tupleElement(pair, 1) AS experiment, tupleElement(pair, 2) AS because, count() AS runs
FROM
(
    SELECT arrayJoin(JSONExtractKeysAndValues(attributes['upshot.not_exposed'], 'String')) AS pair
    FROM runs
    WHERE recorded_at > now() - INTERVAL 1 DAY AND attributes['upshot.not_exposed'] != ''
)
GROUP BY experiment, because
ORDER BY runs DESC, experiment, because
"""
_UNLISTED = """
SELECT experiment, variant, count() AS exposures
FROM exposures
WHERE recorded_at > now() - INTERVAL 1 DAY
    AND experiment IN (SELECT experiment FROM experiments)
    AND (toString(experiment), toString(variant)) NOT IN
    (
        SELECT experiment, arrayJoin(mapKeys(variants)) FROM experiment_changes
    )
GROUP BY experiment, variant
ORDER BY exposures DESC, experiment, variant
"""
_MEANINGS = {
    "no_unit": "no unit was given: choose(unit=…)",
    "no_weight": "all weights are zero: upshot experiments set",
    "missing_arm": "the code lacks the chosen arm: deploy the arm, or set its weight to 0",
    "other_unit": "the registry randomises another kind of unit than the code: start another experiment",
    "failed": "choosing failed: the agent's log says why",
    "newer_hash": "the record names a hash that the agent's release lacks: deploy a newer release",
}


def examine_experiments(reader: Reader) -> Finding:
    """Whether all runs of the last day that asked for a variant were exposed to a listed one."""
    try:
        missed = reader.query(_NOT_EXPOSED).rows
        unlisted = reader.query(_UNLISTED).rows
    except QueryFailed as error:
        return unknown(CHECK, because=str(error))[0]
    return experiments(missed, unlisted)


def experiments(missed: Sequence[Sequence[object]], unlisted: Sequence[Sequence[object]]) -> Finding:
    """The finding for rows of (experiment, reason, runs) and (experiment, variant, exposures)."""
    if not missed and not unlisted:
        return Finding(CHECK, "fine", "every choice of the last 24 hours is an exposure to a listed variant")
    found = [
        f"{name}: the control without an exposure in {int(str(runs)):,} runs ({because})"
        for name, because, runs in missed[:_SHOWN]
    ]
    found += [
        f"{name}: {int(str(count)):,} exposures to {variant}, which the registry doesn't list"
        for name, variant, count in unlisted[:_SHOWN]
    ]
    to_do = list(dict.fromkeys(_MEANINGS.get(str(row[1]), "") for row in missed[:_SHOWN]))
    if unlisted:
        to_do.append("give the registry the variants of the code: upshot experiments set NAME --variants …")
    return Finding(CHECK, "notice", "; ".join(found), "; ".join(filter(None, to_do)))


__all__ = ["CHECK", "examine_experiments", "experiments"]
