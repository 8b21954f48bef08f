"""SQL for the units of an experiment from one scan of `exposure_rows`: each row has its run's history.

Grouping by unit is the dear part, so all that is carried through it is numbers of 64 bits: a unit's first
exposure is that with the least `rank` (its instant, then a hash of its run, its variant and phase), and
`first` holds a hash of variant and phase beside the causes of its values. Names come back by `NAMED`.
"""

from __future__ import annotations

from collections.abc import Sequence

from upshot.insights.experiments.plan import PlannedMetric
from upshot.insights.experiments.units import BAD_CLOCK, CAUSES, MADE_AT, UNLISTED, WITHIN
from upshot.insights.experiments.written_rows import ALL_WRITTEN

#: Instants from 1900 on are positive, and fit into 53 bits until the year 2185.
_BEGAN = 2_208_988_800_000_000
_TIED_BITS = 11
CAUSE_BITS = 4
#: The instant of a place, in microseconds since 1970.
_MICROS = f"(toInt64(bitShiftRight(%s, {_TIED_BITS})) - {_BEGAN})"
#: Metrics whose causes fit beside the hash of variant and phase.
METRICS_AT_ONCE = 4
_ARM_BITS = 0xFFFF_FFFF_FFFE_0000
#: The bit for a clock that can't be right.
_BAD_CLOCK_BIT = 1 << (CAUSE_BITS * METRICS_AT_ONCE)
#: SQL for the hash of variant and phase, of `first`.
BY_ARM = f"bitAnd(first, {_ARM_BITS})"
_ARM = f"bitAnd(bitXor(cityHash64(variant), bitRotateLeft(cityHash64(phase), 1)), {_ARM_BITS})"
#: The order of exposures, as the column `place` of the rows has it.
PLACE = f"""bitShiftLeft(toUInt64(toUnixTimestamp64Micro(at) + {_BEGAN}), {_TIED_BITS})
        + bitAnd(cityHash64(run_id, variant, phase), {(1 << _TIED_BITS) - 1})"""
#: The same of a row: by Kafka's clock where the producer's can't be right.
RANK = f"""if(
        {BAD_CLOCK},
        bitShiftLeft(toUInt64(toUnixTimestamp64Micro(recorded_at) + {_BEGAN}), {_TIED_BITS})
            + bitAnd(place, {(1 << _TIED_BITS) - 1}),
        place
    )"""
#: In halves what all exposures of a unit should have in common: variant, phase, and whether it is forced.
_VARIANT_BITS, _PHASE_BITS = 0xFFFF_FFFF_0000_0000, 0xFFFF_FFFE
_MARKS = f"""bitOr(
        bitAnd(cityHash64(variant), {_VARIANT_BITS}),
        bitOr(bitAnd(cityHash64(phase), {_PHASE_BITS}), toUInt64(strategy = 'forced'))
    )"""
CODES = {cause: number for number, cause in enumerate(CAUSES, 1)}
_UNASKED = f"if(status IN ('failed', 'cancelled'), {CODES['run_failed']}, {CODES['never_asked']})"
_BY_TIME = ("deadline", "expired", "open", "before_exposure")

#: The states of a name are in the order of time, each until the next.
_ANSWER = """arrayLastIndex(
        (name, began) -> name = {%s:String} AND began <= {as_of:DateTime64(6, 'UTC')},
        answer_names, answer_began
    )"""
_SCORE = f"""{_ANSWER % "metric%(s)s"} AS answer%(s)s,
    answer_causes[answer%(s)s] AS why%(s)s,
    multiIf(
        why%(s)s = '', {_UNASKED},
        why%(s)s = 'outcome',
        if(
            toUnixTimestamp64Micro(answer_revised_at[answer%(s)s])
                > {_MICROS % "rank"} + {{matures_after%(s)s:Int64}},
            {CODES["revised"]}, {CODES["outcome"]}
        ),
        {", ".join(f"why%(s)s = '{cause}', {CODES[cause]}" for cause in _BY_TIME)}, 0
    ) AS cause%(s)s,
    if(why%(s)s IN ('outcome', 'deadline'), ifNull(answer_values[answer%(s)s], 0), 0) AS value%(s)s"""
#: By measure: the number, 0 where it isn't known, and whether it is known.
_MEASURED = {
    "cost_usd": ("cost", "steps > 0"),
    "input_tokens": ("ifNull(input_tokens, 0)", "steps > 0"),
    "output_tokens": ("ifNull(output_tokens, 0)", "steps > 0"),
    "seconds": ("ifNull(latency_seconds, 0)", "latency_seconds IS NOT NULL"),
    "failed": ("status = 'failed'", "run_known"),
}

_ROWS = f"""\
SELECT
    unit_key%(run_key)s, {RANK} AS rank,
    {_MARKS} AS marks,
    ifNull(cost_usd, 0) AS cost,
    %(values)s,
    {_ARM} + if({BAD_CLOCK}, {_BAD_CLOCK_BIT}, 0) + %(causes)s AS code%(further)s
FROM exposure_rows
WHERE experiment = {{experiment:String}} AND recorded_at <= {{as_of:DateTime64(6, 'UTC')}}
    AND NOT carried AND origin != 'replay'
    AND {WITHIN % MADE_AT}"""

#: Every run within the horizon counts once, at its first exposure.
_RUNS = f"""arraySort(
        groupArray((rank, run_key, toFloat64(value), cause <= {CODES["revised"]}, cost))
    ) AS runs,
    arrayFilter(
        (run, nth) -> nth = 1 AND
        (
            run.2 = runs[1].2
            OR bitShiftRight(run.1, {_TIED_BITS})
                < bitShiftRight(runs[1].1, {_TIED_BITS}) + toUInt64({{horizon:Int64}})
        ),
        runs, arrayEnumerateUniq(runs.2)
    ) AS counted,
    arraySum(counted.3) AS y,
    if({{missing:String}} = 'exclude', arraySum(counted.4), length(counted)) AS m,
    arraySum(counted.5) AS c"""

_UNITS = f"""\
SELECT
    unit_key AS unit,
    min(rank) AS first_rank,
    argMin(code, rank) AS first,
    {BY_ARM} AS arm,
    groupBitOr(marks) AS some_marks,
    bitXor(some_marks, groupBitAnd(marks)) AS other_marks,
    multiIf(
        bitAnd(some_marks, 1) = 1, 1, bitAnd(other_marks, {_VARIANT_BITS}) != 0, 2,
        bitAnd(first, {_BAD_CLOCK_BIT}) != 0, 3, 0
    ) AS excluded,
    bitAnd(other_marks, {_PHASE_BITS}) != 0 AS carried,
    {_MICROS % "first_rank"} AS first_micros,
    %(metrics)s%(further)s
FROM
(
%(rows)s
)
GROUP BY unit_key"""
_OF_METRIC = """bitAnd(bitShiftRight(first, %(shift)d), 15) AS cause_code%(s)s,
    first_micros + {matures_after%(s)s:Int64} AS matures_micros%(s)s,
    matures_micros%(s)s <= toUnixTimestamp64Micro({as_of:DateTime64(6, 'UTC')}) AS mature%(s)s"""
#: The first run of a unit counts, whichever row of it comes first.
_OF_FIRST = f"""argMin(value%(s)s, rank) AS y%(s)s,
    if({{missing%(s)s:String}} = 'exclude', cause_code%(s)s <= {CODES["revised"]}, 1) AS m%(s)s"""

#: The variants and phases of an experiment by the hash that stands for them: of all rows ever written, since
#: a name too many is of no harm, and of the facts while rows are missing.
NAMED = f"""\
SELECT {_ARM} AS arm, variant, phase
FROM
(
    SELECT DISTINCT variant, phase FROM raw_exposure_rows WHERE experiment = {{experiment:String}}
    UNION DISTINCT
    SELECT DISTINCT variant, phase FROM raw_exposures
    WHERE experiment = {{experiment:String}} AND ({ALL_WRITTEN}) = 0
)"""

#: The same for those of the plan, without reading a row.
PLANNED = f"""\
SELECT {_ARM} AS arm, variant, phase
FROM (SELECT arrayJoin(JSONExtract({{arms:String}}, 'Array(String)')) AS variant) AS one
CROSS JOIN (SELECT arrayJoin(JSONExtract({{phases:String}}, 'Array(String)')) AS phase) AS other"""

#: Subjects waited for by runs of several variants, of the runs that started by an instant.
SHARED = f"""\
SELECT count() FROM
(
    SELECT arrayJoin(subjects) AS subject
    FROM exposure_rows
    WHERE experiment = {{experiment:String}} AND started_at <= {{until:DateTime64(6, 'UTC')}}
        AND recorded_at <= {{as_of:DateTime64(6, 'UTC')}} AND NOT carried
        AND {WITHIN % MADE_AT}
    GROUP BY subject
    HAVING min(cityHash64(variant)) != max(cityHash64(variant))
)"""

_JUDGED = f",\n    round(ifNull(answer_values[{_ANSWER % 'judge'}], nan), {{decimals:UInt8}}) AS judged"
_NUMBER = ",\n    if(mapContains(earlier_numbers, {by:String}), earlier_numbers[{by:String}], nan) AS number"
_OF_ROW = {
    "judged": _JUDGED,
    "number": _NUMBER,
    "segment": ",\n    attributes[{by:String}] AS segment",
    "outcome": ",\n    toUnixTimestamp64Micro(answer_occurred_at[answer%(s)s]) AS outcome",
}

_NAMED = {"variant": "named.variant", "phase": "named.phase"}
#: SQL for the exclusion of a unit; needs `excluded`, and `named`.
EXCLUSION = f"""multiIf(
        excluded = 1, 'forced', excluded = 2, 'several_variants',
        excluded = 3, 'bad_clock', {UNLISTED % _NAMED}, ''
    )"""


def units_of_rows(metrics: Sequence[PlannedMetric], further: str = "") -> str:
    """SQL with a row for each unit; see the columns of `_UNITS`.

    Of several metrics, each without a horizon, the columns and parameters of a metric end with its `suffix`.
    `further` is one column more: `judged`, the score named by parameter `judge` of the unit's first run;
    `number`, its attribute named by `by` as known before the exposure (both NaN where there is none);
    `segment`, its attribute as known now; or `outcome`, when the outcome behind its value of the first
    metric happened, in microseconds (0 without one).
    """
    several = len(metrics) > 1
    runs = any(metric.horizon for metric in metrics)
    suffixes = [suffix(number) if several else "" for number in range(len(metrics))]
    causes = [f"bitShiftLeft(toUInt64(cause{s}), {CAUSE_BITS * n})" for n, s in enumerate(suffixes)]
    rows = _ROWS % {
        "run_key": ", run_key" if runs else "",
        "values": ",\n    ".join(_value(each) % {"s": s} for each, s in zip(metrics, suffixes, strict=True)),
        "causes": " + ".join(causes),
        "further": _OF_ROW[further] % {"s": suffixes[0]} if further else "",
    }
    of_metrics = [
        (_OF_METRIC if runs else f"{_OF_METRIC},\n    {_OF_FIRST}") % {"s": s, "shift": CAUSE_BITS * number}
        for number, s in enumerate(suffixes)
    ]
    of_metrics.append(_RUNS if runs else "argMin(cost, rank) AS c")
    return _UNITS % {
        "rows": rows,
        "metrics": ",\n    ".join(of_metrics),
        "further": f",\n    argMin({further}, rank) AS {further}" if further else "",
    }


def suffix(number: int) -> str:
    """Ends the columns and parameters of the metric of that number, of several."""
    return f"_{number}"


def named_units(metric: PlannedMetric) -> str:
    """SQL with a row for each unit, with variant, phase, exclusion, and the instant of its maturity."""
    return f"""\
SELECT
    named.phase AS phase, named.variant AS variant, {EXCLUSION} AS exclusion, mature,
    fromUnixTimestamp64Micro(matures_micros, 'UTC') AS matures_at, y, m, c
FROM ({units_of_rows([metric])}) AS each
INNER JOIN ({NAMED}) AS named ON named.arm = each.arm"""


def _value(metric: PlannedMetric) -> str:
    if metric.source == "score":
        return _SCORE
    number, known = _MEASURED[metric.name]
    return f"if({known}, {CODES['outcome']}, {_UNASKED}) AS cause%(s)s, {number} AS value%(s)s"


__all__ = [
    "BY_ARM",
    "CAUSE_BITS",
    "CODES",
    "EXCLUSION",
    "METRICS_AT_ONCE",
    "NAMED",
    "PLACE",
    "PLANNED",
    "RANK",
    "SHARED",
    "named_units",
    "suffix",
    "units_of_rows",
]
