"""SQL that adds up an experiment's units from `exposure_rows` to cells, for several metrics in one scan.

Units are added up twice: first by all that tells apart how they count (variant, phase, causes, exclusion,
hour of maturity), then the few groups to cells. No unit meets a condition for each number of its cell.
"""

from __future__ import annotations

from collections.abc import Sequence

from upshot.insights.experiments.charting import Charting
from upshot.insights.experiments.plan import PlannedMetric
from upshot.insights.experiments.row_units import (
    BY_ARM,
    CAUSE_BITS,
    CODES,
    EXCLUSION,
    NAMED,
    suffix,
    units_of_rows,
)

#: What is added up over units, by name.
_SUMS = {"y": "y%(s)s", "yy": "y%(s)s * y%(s)s", "c": "c", "cc": "c * c", "cy": "c * y%(s)s"}
#: m is 0 or 1 without a horizon, with a y of 0 where it is 0: it needs no sums of its own.
_OF_FIRST = {"m": "n%(s)s", "mm": "n%(s)s", "ym": "y_sum%(s)s"}
_OF_RUNS = {"m": "sum(m%(s)s)", "mm": "sum(m%(s)s * m%(s)s)", "ym": "sum(y%(s)s * m%(s)s)"}
_GROUPED = f"""if(mature%(s)s, 0, toUInt32(intDiv(matures_micros%(s)s, 3600000000) + 1)) AS hour%(s)s,
            countIf(m%(s)s > 0) AS n%(s)s,
            {", ".join(f"sum({value}) AS {name}_sum%(s)s" for name, value in _SUMS.items())}"""
_CAUSE = "bitAnd(bitShiftRight(first, %(shift)d), 15)"
_ADDED = f"""sumIf(units, hour%(s)s != 0) AS maturing%(s)s,
        fromUnixTimestamp64Micro(minIf(began, hour%(s)s != 0) + {{matures_after%(s)s:Int64}}, 'UTC')
            AS next_at%(s)s,
        sumIf(units, hour%(s)s = 0) AS matured%(s)s,
        {
    ", ".join(
        f"sumIf(units, hour%(s)s = 0 AND {_CAUSE} = {number}) AS by_{cause}%(s)s"
        for cause, number in CODES.items()
    )
},
        sumIf(n%(s)s, hour%(s)s = 0) AS n_all%(s)s,
        {
    ", ".join(f"sumIf({name}_sum%(s)s, hour%(s)s = 0) AS sum_{name}%(s)s" for name in (*_SUMS, *_OF_RUNS))
},
        sumMapIf(map(hour%(s)s, units), hour%(s)s != 0) AS schedule%(s)s"""

#: Where a unit stands by its maturity (-1: it isn't mature) and by its time to outcome: a unit leaves by the
#: outcome of its first run, else at its maturity or now, whichever is first.
_SLOT = """if(
                mature%(s)s,
                toInt32(
                    intDiv(
                        greatest(
                            0,
                            matures_micros%(s)s
                                - toUnixTimestamp64Micro({slots_from:DateTime64(6, 'UTC')})
                        ),
                        1000000 * toInt64({slot_seconds:UInt32})
                    )
                ),
                -1
            ) AS slot"""
_STEP = """toInt32(
                least(
                    {steps:Int64} - 1,
                    intDiv(
                        greatest(
                            0,
                            if(
                                outcome != 0, outcome,
                                least(
                                    matures_micros%(s)s,
                                    toUnixTimestamp64Micro({as_of:DateTime64(6, 'UTC')})
                                )
                            ) - first_micros
                        ),
                        1000000 * toInt64({step_seconds:UInt32})
                    )
                )
            ) AS step, countIf(outcome != 0) AS came"""
_NO_STEP = "toInt32(-1) AS step, 0 AS came"
_OF_SPREAD = """slot, step, sum(came) AS outcomes,
        multiIf(grouping(slot) = 0, 'slots', grouping(step) = 0, 'steps', 'cells') AS part,"""
_SETS = "GROUPING SETS ((arm, excluded, segment), (arm, excluded, slot), (arm, excluded, step))"

_CELLS = f"""\
SELECT
    named.phase AS phase, named.variant AS variant, {EXCLUSION} AS exclusion, named.arm != 0 AS is_named,
    added.*
FROM
(
    SELECT
        {BY_ARM} AS arm, excluded, segment, sum(units) AS exposed, sum(again) AS carried,
        fromUnixTimestamp64Micro(min(began), 'UTC') AS first_exposed_at, sum(new) AS arrived,
        %(of_spread)s
        %(added)s
    FROM
    (
        SELECT
            first, excluded, %(segment)s AS segment, count() AS units, countIf(carried) AS again,
            min(first_micros) AS began,
            countIf(
                first_micros
                    > toUnixTimestamp64Micro({{as_of:DateTime64(6, 'UTC')}} - toIntervalDay(7))
            ) AS new,
            %(spread)s
            %(grouped)s
        FROM
        (
%(units)s
        )
        GROUP BY first, excluded, %(hours)s%(further_key)s
    )
    GROUP BY %(keys)s
) AS added
LEFT JOIN (%(names)s) AS named ON named.arm = added.arm
ORDER BY phase, variant, exclusion, segment"""


def cells_of_rows(
    metrics: Sequence[PlannedMetric],
    *,
    segmented: bool,
    names: str = NAMED,
    charting: Charting | None = None,
) -> str:
    """SQL with a row for each phase, variant, exclusion and segment; columns as in `units_of_rows`.

    With the `names` of the plan alone, others are not `is_named`. With `charting` of the first metric, not
    segmented, these rows are the `part` cells; others add the same up by `slot` and by `step`.
    """
    several = len(metrics) > 1
    endings = [{"s": suffix(n) if several else "", "shift": CAUSE_BITS * n} for n in range(len(metrics))]
    further = _OF_RUNS if any(metric.horizon for metric in metrics) else _OF_FIRST
    grouped = ", ".join([_GROUPED, *(f"{value} AS {name}_sum%(s)s" for name, value in further.items())])
    has_steps = charting is not None and charting.metric.source == "score"
    keys = [*(f"hour{ending['s']}" for ending in endings), *(["slot", "step"] if charting else [])]
    spread = f"{_SLOT}, {_STEP if has_steps else _NO_STEP}," % endings[0] if charting else ""
    column = "segment" if segmented else "outcome" if has_steps else ""
    return _CELLS % {
        "names": names,
        "units": units_of_rows(metrics, column),
        "segment": "segment" if segmented else "''",
        "spread": spread,
        "of_spread": _OF_SPREAD if charting else "",
        "grouped": ",\n            ".join(grouped % ending for ending in endings),
        "added": ",\n        ".join(_ADDED % ending for ending in endings),
        # A text among the keys, even a constant one, makes ClickHouse group by bytes.
        "further_key": ", segment" if segmented else "",
        "hours": ", ".join(keys),
        "keys": _SETS if charting else "arm, excluded, segment",
    }


__all__ = ["cells_of_rows"]
