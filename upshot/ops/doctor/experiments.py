"""Experiments in the last day: runs that got the control without an exposure, and variants nobody listed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from upshot.errors import QueryFailed
from upshot.insights.experiments.verify import COMPUTED, IS_COMPUTED
from upshot.insights.limits import QueryLimits
from upshot.insights.reader import Reader
from upshot.insights.statistics.allocation import unserved
from upshot.ops.doctor.finding import Finding, unknown

CHECK, ASSIGNMENTS = "experiments", "assignments"
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
#: A bounded sample of the last day's choices by the hash, in phases whose weights the registry knows.
_SAMPLE, _OF_EACH = 10_000, 1_000
_BY_HASH = f"""
WITH {COMPUTED}
SELECT experiment, count() AS exposures, countIf(NOT {IS_COMPUTED}) AS differing
FROM
(
    SELECT
        toString(given.experiment) AS experiment, given.unit AS unit, toString(given.variant) AS variant,
        planned.weights AS weights
    FROM
    (
        SELECT experiment, phase, unit, variant
        FROM raw_exposures
        WHERE recorded_at > now() - INTERVAL 1 DAY AND strategy IN ('weighted', 'bucket', 'adaptive')
            AND (toString(experiment), toString(phase)) IN (SELECT experiment, phase FROM experiment_phases)
            AND experiment IN (SELECT experiment FROM experiments WHERE hash_version IN ('', 'upshot-1'))
        LIMIT {_OF_EACH} BY experiment
        LIMIT {_SAMPLE}
    ) AS given
    INNER JOIN experiment_phases AS planned
        ON toString(given.experiment) = planned.experiment AND toString(given.phase) = planned.phase
)
GROUP BY experiment
HAVING differing > 0
ORDER BY experiment
"""
#: The units of the last day in the present phases of running experiments, whose arms the hash chooses.
_GIVEN = """
SELECT present.experiment, present.phase, present.variants, given.variants
FROM
(
    SELECT experiment, phase, variants FROM experiments
    WHERE status = 'running' AND strategy IN ('weighted', 'bucket', 'adaptive')
) AS present
INNER JOIN
(
    SELECT
        experiment, phase, CAST((groupArray(variant), groupArray(units)), 'Map(String, UInt64)') AS variants
    FROM
    (
        SELECT
            toString(experiment) AS experiment, toString(phase) AS phase, toString(variant) AS variant,
            uniq(unit) AS units
        FROM raw_exposures
        WHERE recorded_at > now() - INTERVAL 1 DAY AND strategy != 'forced'
        GROUP BY experiment, phase, variant
    )
    GROUP BY experiment, phase
) AS given ON present.experiment = given.experiment AND present.phase = given.phase
ORDER BY present.experiment
"""
#: Seconds that each question about assignments may take.
_SECONDS = 5.0
_MEANINGS = {
    "no_unit": "no unit was given: choose(unit=…)",
    "no_weight": "all weights are zero: upshot experiments set",
    "missing_arm": "the code lacks the chosen arm: deploy the arm, or set its weight to 0",
    "other_unit": "the registry randomises another kind of unit than the code: start another experiment",
    "failed": "choosing failed: the agent's log says why",
    "newer_hash": "the record names a hash that the agent's release lacks: deploy a newer release",
}


def examine_assignments(reader: Reader) -> Finding:
    """Whether the last day's assignments are those of the hash, and every arm is given to somebody."""
    quick = reader.with_limits(QueryLimits(seconds=_SECONDS))
    try:
        differing = quick.query(_BY_HASH).rows
        given = quick.query(_GIVEN).rows
    except QueryFailed as error:
        return unknown(ASSIGNMENTS, because=str(error))[0]
    return assignments(differing, given)


def assignments(differing: Sequence[Sequence[Any]], given: Sequence[Sequence[Any]]) -> Finding:
    """The finding for rows of (experiment, exposures, differing) and (experiment, phase, weights, units)."""
    found = [
        f"{name}: {int(wrong):,} of {int(looked_at):,} recent assignments differ from the hash"
        for name, looked_at, wrong in differing[:_SHOWN]
    ]
    absent = [
        f"{name}: {arm} is an arm that no agent serves, none of {sum(map(int, units.values())):,} units of "
        f"phase {phase} was given it"
        for name, phase, weights, units in given
        for arm in unserved({arm: int(n) for arm, n in units.items()}, weights)
    ]
    found += absent[:_SHOWN]
    if not found:
        return Finding(
            ASSIGNMENTS, "fine", "recent assignments are those of the hash, and every arm is served"
        )
    to_do = []
    if differing:
        to_do.append(
            f"see which: upshot experiments verify {differing[0][0]}; the program that chose them follows "
            "another recipe than docs/decisions/0026-assignment.md, or names another unit than it drew for: "
            "mend the program, and start another experiment"
        )
    if absent:
        to_do.append("deploy code that has the arm, or set its weight to 0: upshot experiments set")
    return Finding(ASSIGNMENTS, "notice", "; ".join(found), "; ".join(to_do))


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


__all__ = ["ASSIGNMENTS", "CHECK", "assignments", "examine_assignments", "examine_experiments", "experiments"]
