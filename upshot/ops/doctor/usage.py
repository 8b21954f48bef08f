"""Model calls reported by two instrumentations: counted once, and users may want to switch either of them
off.
"""

from __future__ import annotations

from upshot.errors import QueryFailed
from upshot.insights.reader import Reader
from upshot.ops.doctor.finding import Finding, unknown

CHECK = "usage"

_RECENT = "run_id IN (SELECT run_id FROM raw_steps WHERE recorded_at > now() - INTERVAL 1 DAY)"
#: By the instrumentation whose spans don't count: the SDK says so on the step, the view works it out.
_TWINS = f"""
SELECT if(instrumentation = '', 'steps of no instrumentation', toString(instrumentation)) AS who,
       count() AS calls, any(run_id) AS example
FROM steps
WHERE {_RECENT}
    AND (
        attributes['upshot.repeats'] != ''
        OR (run_id, step_id) IN (
            SELECT run_id, step_id FROM repeated_usage WHERE because = 'twin' AND {_RECENT}
        )
    )
GROUP BY who
ORDER BY calls DESC, who
"""


def examine_usage(reader: Reader) -> Finding:
    """Which instrumentations report model calls reported by others, too, in the last day."""
    try:
        rows = reader.query(_TWINS).rows
    except QueryFailed as error:
        return unknown(CHECK, because=str(error))[0]
    if not rows:
        return Finding(CHECK, "fine", "no model call of the last 24 hours was reported twice")
    lines = ", ".join(f"{int(calls):,} by {who}" for who, calls, _ in rows[:5])
    return Finding(
        CHECK,
        "notice",
        f"model calls of the last 24 hours that two instrumentations tell of, counted once: {lines}, such as "
        f"in run {rows[0][2]}",
        "both spans stay visible; to see one alone, switch off one of the two instrumentations: "
        'upshot query "SELECT * FROM repeated_usage" names the steps',
    )


__all__ = ["CHECK", "examine_usage"]
