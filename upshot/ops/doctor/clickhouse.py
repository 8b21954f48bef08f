"""The database: its tables, and the signs in its rows of the health of the whole."""

from __future__ import annotations

import time

from upshot.errors import ClickHouseUnavailable, QueryFailed
from upshot.insights.limits import QueryLimits
from upshot.insights.reader import Reader
from upshot.ops.doctor.alert_rules import CHECK as ALERT_RULES
from upshot.ops.doctor.alert_rules import examine_alert_rules
from upshot.ops.doctor.experiments import ASSIGNMENTS, examine_assignments, examine_experiments
from upshot.ops.doctor.experiments import CHECK as EXPERIMENTS
from upshot.ops.doctor.finding import Finding, unknown
from upshot.ops.doctor.followups import CHECK as FOLLOWUPS
from upshot.ops.doctor.followups import examine_followups
from upshot.ops.doctor.reading import CHECK as READING
from upshot.ops.doctor.reading import examine_reading
from upshot.ops.doctor.receivers import CHECK as RECEIVERS
from upshot.ops.doctor.receivers import examine_receivers
from upshot.ops.doctor.usage import CHECK as USAGE
from upshot.ops.doctor.usage import examine_usage
from upshot.processors.store.migrate import Migration, migrations
from upshot.schemas.dead_letters import MEANINGS
from upshot.settings import Settings

#: Seconds after its deadline from which a wait without an answer is wrong: judging takes a second or two.
_OVERDUE = 60
#: Seconds between the clocks from which deadlines are visibly off, and from which it's wrong.
_SKEW, _MUCH_SKEW = 1.0, 10.0
_DATA = (
    "dead letters",
    "overdue waits",
    "unmatched scores",
    "score kinds",
    USAGE,
    EXPERIMENTS,
    ASSIGNMENTS,
    ALERT_RULES,
    FOLLOWUPS,
    READING,
    RECEIVERS,
)

_DEAD_LETTERS = """
SELECT reason, count() AS letters, argMax((topic, partition, offset, detail), recorded_at) AS last
FROM dead_letters
WHERE recorded_at > now() - INTERVAL 1 DAY
GROUP BY reason
ORDER BY letters DESC, reason
"""


def examine_clickhouse(settings: Settings) -> list[Finding]:
    """Connection, clock, tables, then the rows."""
    reader = Reader(settings, limits=QueryLimits(seconds=30))
    address = settings.clickhouse
    try:
        version, skew = _version_and_skew(reader)
    except (ClickHouseUnavailable, QueryFailed) as error:
        refused = isinstance(error, QueryFailed)
        to_do = "upshot migrate" if refused else "start it (upshot up), or correct UPSHOT_CLICKHOUSE_URL"
        because = "ClickHouse refuses to answer" if refused else "ClickHouse doesn't answer"
        return [
            Finding("ClickHouse", "wrong", str(error), to_do),
            *unknown("clocks", "tables", *_DATA, because=because),
        ]
    there = Finding("ClickHouse", "fine", f"{version} at {address.host}:{address.port}")
    tables = _tables(reader, address.database)
    if tables.state == "wrong":
        return [there, clocks(skew), tables, *unknown(*_DATA, because="the tables aren't current")]
    return [
        there,
        clocks(skew),
        tables,
        _dead_letters(reader),
        _overdue(reader),
        _unmatched(reader),
        _score_kinds(reader),
        examine_usage(reader),
        examine_experiments(reader),
        examine_assignments(reader),
        examine_alert_rules(reader),
        examine_followups(reader),
        examine_reading(reader),
        examine_receivers(reader, settings),
    ]


def _version_and_skew(reader: Reader) -> tuple[str, float]:
    """The database's version, and its clock less ours in the middle of the request."""
    before = time.time()
    [[version, now]] = reader.query("SELECT version(), toUnixTimestamp64Micro(now64(6)) / 1e6").rows
    return str(version), float(now) - (before + time.time()) / 2


def clocks(skew: float) -> Finding:
    """How far this machine's clock is from ClickHouse's."""
    if abs(skew) < _SKEW:
        return Finding("clocks", "fine", f"this machine and ClickHouse agree within {abs(skew):.3f} s")
    ahead = "ahead of" if skew > 0 else "behind"
    return Finding(
        "clocks",
        "wrong" if abs(skew) >= _MUCH_SKEW else "notice",
        f"ClickHouse's clock is {abs(skew):.1f} s {ahead} this machine's",
        "set both by NTP: deadlines are evaluated by the clock of the worker's machine",
    )


def _tables(reader: Reader, database: str) -> Finding:
    try:
        rows = reader.query("SELECT DISTINCT number, checksum FROM migrations").rows
    except QueryFailed:
        return Finding("tables", "wrong", f"database {database} has no tables of ours yet", "upshot migrate")
    return tables({(int(number), str(checksum)) for number, checksum in rows}, migrations())


def tables(applied: set[tuple[int, str]], known: list[Migration]) -> Finding:
    """The applied migrations beside the migrations of this release."""
    numbers = {number for number, _ in applied}
    if newer := numbers - {migration.number for migration in known}:
        found = f"the database has migration {max(newer)}, this release knows {len(known)}"
        return Finding("tables", "wrong", found, "install the newer release")
    edited = [m for m in known if m.number in numbers and (m.number, m.checksum) not in applied]
    if edited:
        found = f"edited after they were applied: {', '.join(m.name for m in edited)}"
        return Finding("tables", "wrong", found, "restore the files and put the change into a new migration")
    if missing := [m for m in known if m.number not in numbers]:
        found = f"{len(missing)} of {len(known)} migrations aren't applied"
        return Finding("tables", "wrong", found, "upshot migrate")
    return Finding("tables", "fine", f"all {len(known)} migrations are applied")


def _dead_letters(reader: Reader) -> Finding:
    rows = reader.query(_DEAD_LETTERS).rows
    if not rows:
        return Finding("dead letters", "fine", "none in the last 24 hours")
    lines = [
        f"{int(letters):,} {reason}, the last at {topic}/{partition}/{offset}: {detail}"
        for reason, letters, (topic, partition, offset, detail) in rows
    ]
    meaning = MEANINGS.get(rows[0][0], "")
    return Finding(
        "dead letters",
        "notice",
        f"in the last 24 hours: {'; '.join(lines)}",
        f'{meaning} Then send it again: upshot query "SELECT * FROM dead_letters"'.strip(),
    )


def _overdue(reader: Reader) -> Finding:
    [[count, oldest, example]] = reader.query(
        "SELECT count(), min(deadline), argMin(subject, deadline) FROM pending "
        f"WHERE deadline < now64(6) - INTERVAL {_OVERDUE} SECOND"
    ).rows
    if not int(count):
        return Finding("overdue waits", "fine", "none")
    return Finding(
        "overdue waits",
        "wrong",
        f"{int(count):,} have passed their deadline by over {_OVERDUE} s and aren't evaluated, the first at "
        f"{oldest} UTC ({example})",
        "the worker correlate judges them once it has read everything before: see its line above and its log",
    )


def _unmatched(reader: Reader) -> Finding:
    [[count, example]] = reader.query(
        "SELECT count(), argMax(run_id, decided_at) FROM current_scores WHERE NOT run_known"
    ).rows
    if not int(count):
        return Finding("unmatched scores", "fine", "none: every score's run is known")
    return Finding(
        "unmatched scores",
        "notice",
        f"{int(count):,} of runs that aren't known, such as {example}",
        "send those runs (upshot emit runs), whenever you like; see upshot query --question unmatched-scores",
    )


def _score_kinds(reader: Reader) -> Finding:
    rows = reader.query(
        "SELECT name, kind, run_id, first_at, refused_kind, refused_at FROM score_kinds WHERE refused_kind "
        "!= '' ORDER BY refused_at DESC"
    ).rows
    if not rows:
        return Finding("score kinds", "fine", "every name is a number or a boolean throughout")
    lines = [
        (
            f"{name} is a {kind} since {first_at} UTC (run {run_id}), a {refused_kind} came last at "
            f"{refused_at} UTC"
        )
        for name, kind, run_id, first_at, refused_kind, refused_at in rows[:5]
    ]
    more = f"; {len(rows) - 5} more" if len(rows) > 5 else ""
    return Finding(
        "score kinds",
        "notice",
        f"scores of another kind than their name's are refused: {'; '.join(lines)}{more}",
        'send what the name is, or give the other a name of its own: upshot query "SELECT * FROM '
        'score_clashes"',
    )


__all__ = ["clocks", "examine_clickhouse", "tables"]
