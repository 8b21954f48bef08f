"""Stored assignments computed again, in SQL: the hash `upshot-1` on ClickHouse's own MurmurHash3."""

from __future__ import annotations

from dataclasses import dataclass

from upshot.insights.reader import Reader


def _part(text: str) -> str:
    return f"concat(toString(length({text})), ':', {text})"


_DRAW = (
    "(toFloat64(bitShiftRight(reinterpretAsUInt64(substring(murmurHash3_128(concat("
    f"'8:upshot-1', {_part('experiment')}, {_part('unit')}, {_part('arm')}"
    ")), 1, 8)), 11)) + 0.5) / 9007199254740992"
)
#: SQL, before SELECT: the distances of the arms of `experiment` by `weights`, for `unit`; and whether the
#: nearest is `variant`.
COMPUTED = f"""\
    arraySort(arrayFilter(arm -> weights[arm] > 0, mapKeys(weights))) AS arms,
    arrayMap(arm -> -log({_DRAW}) / weights[arm], arms) AS distances"""
IS_COMPUTED = "(notEmpty(arms) AND variant = arms[indexOf(distances, arrayMin(distances))])"
#: Weights are the registry's; of phases that it lacks the probabilities serve, which are in proportion.
_SQL = f"""\
WITH
{COMPUTED}
SELECT
    phase,
    variant,
    count() AS exposures,
    countIf({IS_COMPUTED}) AS agree,
    toBool(any(registered)) AS in_registry
FROM
(
    SELECT
        toString(exposure.experiment) AS experiment, exposure.unit AS unit, toString(exposure.phase) AS phase,
        toString(exposure.variant) AS variant,
        notEmpty(planned.weights) AS registered,
        if(notEmpty(planned.weights), planned.weights, observed.weights) AS weights
    FROM exposures AS exposure
    LEFT ANY JOIN (SELECT * FROM experiment_phases WHERE experiment = {{experiment:String}}) AS planned
        ON toString(exposure.phase) = planned.phase
    LEFT ANY JOIN
    (
        SELECT phase, mapFromArrays(groupArray(variant), groupArray(share)) AS weights
        FROM
        (
            SELECT
                toString(phase) AS phase, toString(variant) AS variant,
                ifNull(quantileExact(probability), 0) AS share
            FROM exposures
            WHERE experiment = {{experiment:String}} AND strategy IN ('weighted', 'bucket', 'adaptive')
            GROUP BY phase, variant
        )
        GROUP BY phase
    ) AS observed ON toString(exposure.phase) = observed.phase
    WHERE exposure.experiment = {{experiment:String}}
        AND exposure.strategy IN ('weighted', 'bucket', 'adaptive')
)
GROUP BY phase, variant
ORDER BY phase, variant"""


@dataclass(frozen=True)
class Verified:
    """Exposures of a variant in a phase, and how many of them the hash gives again."""

    phase: str
    variant: str
    exposures: int
    agree: int
    in_registry: bool


def verified(reader: Reader, experiment: str) -> list[Verified]:
    """The assignments by the hash, computed again; forced, custom and external ones aren't by the hash."""
    rows = reader.query(_SQL, {"experiment": experiment}).rows
    return [
        Verified(phase, variant, int(total), int(agree), bool(known))
        for phase, variant, total, agree, known in rows
    ]


__all__ = ["COMPUTED", "IS_COMPUTED", "Verified", "verified"]
