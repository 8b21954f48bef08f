"""Alerts by filters, and one alert with its states, its score or wait, and its notices with every try."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from upshot.insights.pages.query import Conditions, PageQuery, Row, counts_by_state
from upshot.insights.reader import Reader

#: States that the page offers, with the condition of each.
ALERT_STATES = {
    "all": "",
    "firing": "state = 'firing'",
    "resolved": "state = 'resolved'",
    "muted": "silent = 'muted'",
    "silent": "silent != ''",
}
#: Tries of notices, and revisions of a score, that one alert's page shows.
MOST_TRIES, MOST_REVISIONS = 200, 20


@dataclass(frozen=True)
class AlertFilter:
    """Which alerts are listed; empty fields don't restrict."""

    state: str = "all"
    rule: str = ""
    subject: str = ""
    since: datetime | None = None
    until: datetime | None = None
    after: tuple[datetime, str] | None = None


def alerts_query(wanted: AlertFilter) -> PageQuery:
    """The alerts of a filter, the latest change first."""
    conditions = _conditions(wanted)
    if condition := ALERT_STATES[wanted.state]:
        conditions.add(f"({condition})")
    conditions.add_before("changed_at", "alert_id", wanted.after)
    return PageQuery(
        "SELECT changed_at, state, severity, name, rule_kind, message, subjects, run_id, silent, notify, "
        f"fired_at, alert_id\nFROM alert_states{conditions.where()}\nORDER BY changed_at DESC, alert_id DESC",
        conditions.parameters,
    )


def alert_counts(wanted: AlertFilter) -> PageQuery:
    """The number of alerts of each state, under the filter's other fields."""
    conditions = _conditions(wanted)
    counts = counts_by_state("alerts", ALERT_STATES)
    return PageQuery(f"SELECT {counts}\nFROM alert_states{conditions.where()}", conditions.parameters)


ALERTING_RULES = PageQuery("SELECT DISTINCT name FROM alerts ORDER BY name LIMIT 200")


def alert(reader: Reader, ident: str) -> Row | None:
    """One alert as it stands."""
    rows = reader.query("SELECT * FROM alert_states WHERE alert_id = {id:String}", {"id": ident}).objects()
    return rows[0] if rows else None


def alert_history(ident: str) -> PageQuery:
    """Every state of one alert, in order."""
    return PageQuery(
        "SELECT state, raised_at, detected_at, recorded_at, value, kind, message, silent, revision\n"
        "FROM alerts\nWHERE alert_id = {id:String}\nORDER BY revision, state = 'firing'",
        {"id": ident},
    )


def alert_scores(score_id: str) -> PageQuery:
    """The revisions of the score that an alert is about, the latest first."""
    return PageQuery(
        "SELECT name, revision, value, kind, reason, late, subject, run_id, decided_at\nFROM scores\n"
        "WHERE score_id = {id:String}\nORDER BY revision DESC, decided_at DESC",
        {"id": score_id},
    )


def notice_tries(ident: str) -> PageQuery:
    """Every try of the notices of an alert, digests with it included."""
    return PageQuery(_NOTICES, {"id": ident})


def with_tries(rows: Sequence[Row]) -> list[Row]:
    """A row for each notice, as its last try left it, with its tries."""
    found: dict[str, Row] = {}
    for row in rows:
        known = found.setdefault(row["notice_id"], {**row, "tries": []})
        known["tries"].append({name: row[name] for name in _OF_A_TRY})
        known.update({name: row[name] for name in _OF_A_TRY})
    return list(found.values())


_OF_A_TRY = ("status", "attempts", "last_status", "error", "changed_at", "next_attempt_at")
_NOTICES = """\
SELECT notice_id, alert_id, receiver, receiver_kind, state, status, attempts, last_status, error, changed_at,
    next_attempt_at, digest_id, length(digest_of) AS digest_size, raised_at, sent_at, revision
FROM notice_changes
WHERE alert_id = {id:String} OR has(digest_of, {id:String})
ORDER BY raised_at, notice_id, revision"""


def _conditions(wanted: AlertFilter) -> Conditions:
    conditions = Conditions()
    if wanted.rule:
        conditions.add("name = {rule:String}", rule=wanted.rule)
    if wanted.subject:
        conditions.add(
            "(has(mapValues(subjects), {subject:String}) OR run_id = {subject:String}\n        OR "
            "score_id IN (SELECT score_id FROM scores WHERE subject = {subject:String}))",
            subject=wanted.subject,
        )
    if wanted.since:
        conditions.add("changed_at >= {since:DateTime64(6, 'UTC')}", since=wanted.since)
    if wanted.until:
        conditions.add("changed_at < {until:DateTime64(6, 'UTC')}", until=wanted.until)
    return conditions


__all__ = [
    "ALERTING_RULES",
    "ALERT_STATES",
    "MOST_REVISIONS",
    "MOST_TRIES",
    "AlertFilter",
    "alert",
    "alert_counts",
    "alert_history",
    "alert_scores",
    "alerts_query",
    "notice_tries",
    "with_tries",
]
