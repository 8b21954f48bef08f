"""The stored past: deferrals, outcomes, and the current scores."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple, Protocol

import msgspec
from msgspec import Raw

from upshot.insights.reader import Reader
from upshot.processors.correlate.state import StoredOutcome
from upshot.processors.followups.execution import FollowupSpec
from upshot.streams.events.instants import Micros

_DEFERRED = """\
SELECT followup_id FROM deferrals
WHERE scorer = {scorer:String} AND deferred_at >= {since:DateTime64(6, 'UTC')}
    AND ({version:String} = '' OR version = {version:String})
ORDER BY deferred_at, followup_id"""
_ORIGINS = """\
SELECT followup_id, run_id, step_id, version, toUnixTimestamp64Micro(deferred_at) AS deferred_at,
    toUnixTimestamp64Micro(since) AS since, data, agent, exposures, attributes
FROM deferrals
WHERE scorer = {scorer:String} AND followup_id IN {ids:Array(String)}"""
_OUTCOMES = """\
SELECT subject, id, type, toUnixTimestamp64Micro(time) AS time,
    toUnixTimestamp64Micro(recorded_at) AS arrived, partition, offset, source, data, width, sequence
FROM outcomes
WHERE subject IN {ids:Array(String)}"""
_SCORES = """\
SELECT score_id, run_id, step_id, name, key, value, kind, revision, reason
FROM scores
WHERE run_id IN {ids:Array(String)}
ORDER BY precedence DESC
LIMIT 1 BY score_id"""


#: Ids in a query: the ids travel in the query's URL, which may have a mebibyte.
_AT_ONCE = 500


class Current(NamedTuple):
    """A current score; without a value where the score was withdrawn or expired."""

    score_id: str
    run_id: str
    step_id: str | None
    name: str
    key: str | None
    value: bool | float | None
    revision: int
    reason: str


class Past(Protocol):
    """A source of the stored past. Every call raises Unavailable."""

    def deferred(self, scorer: str, since: datetime, version: str | None) -> Sequence[str]:
        """The ids of a scorer's follow-ups deferred since then, the oldest first."""

    def origins(self, scorer: str, ids: Sequence[str]) -> Sequence[FollowupSpec]:
        """The follow-up specs of these ids."""

    def outcomes(self, subjects: Iterable[str]) -> Mapping[str, Sequence[StoredOutcome]]:
        """All outcomes of these subjects."""

    def scores(self, run_ids: Iterable[str]) -> Sequence[Current]:
        """The scores of these runs."""


class ClickHousePast:
    """Reads the rows written by the store."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def deferred(self, scorer: str, since: datetime, version: str | None) -> Sequence[str]:
        """See Past."""
        asked = {"scorer": scorer, "since": since, "version": version or ""}
        return [row[0] for row in self._reader.query(_DEFERRED, asked).rows]

    def origins(self, scorer: str, ids: Sequence[str]) -> Sequence[FollowupSpec]:
        """See Past."""
        found = {row["followup_id"]: row for row in self._rows(_ORIGINS, ids, scorer=scorer)}
        return [_origin(found[ident], scorer) for ident in ids if ident in found]

    def outcomes(self, subjects: Iterable[str]) -> Mapping[str, Sequence[StoredOutcome]]:
        """See Past."""
        found: dict[str, list[StoredOutcome]] = {}
        for row in self._rows(_OUTCOMES, subjects):
            found.setdefault(row["subject"], []).append(_known(row))
        return found

    def scores(self, run_ids: Iterable[str]) -> Sequence[Current]:
        """See Past."""
        return [_current(row) for row in self._rows(_SCORES, run_ids)]

    def _rows(self, sql: str, ids: Iterable[str], **more: str) -> list[dict[str, Any]]:
        listed, rows = [_quoted(ident) for ident in ids], []
        for first in range(0, len(listed), _AT_ONCE):
            part = ",".join(listed[first : first + _AT_ONCE])
            rows += self._reader.query(sql, {"ids": f"[{part}]", **more}).objects()
        return rows


def _origin(row: Mapping[str, Any], scorer: str) -> FollowupSpec:
    names = "experiment", "variant", "phase", "probability"
    exposures = [
        # Where a probability is unknown, the table has 0.
        dict(zip(names, (*emitted[:3], emitted[3] or None), strict=True))
        for emitted in row["exposures"]
    ]
    return FollowupSpec(
        followup_id=row["followup_id"],
        run_id=row["run_id"],
        scorer=scorer,
        version=row["version"],
        deferred_at=_micros(row["deferred_at"]),
        since=_micros(row["since"]),
        data=Raw(row["data"].encode()),
        step_id=row["step_id"],
        agent=row["agent"] or None,
        exposures=Raw(msgspec.json.encode(exposures)),
        attributes=Raw(msgspec.json.encode({name: _plain(text) for name, text in row["attributes"].items()})),
    )


def _known(row: Mapping[str, Any]) -> StoredOutcome:
    return StoredOutcome(
        id=row["id"],
        type=row["type"],
        time=_micros(row["time"]),
        arrived=_micros(row["arrived"]),
        partition=int(row["partition"]),
        offset=int(row["offset"]),
        source=row["source"],
        data_json=Raw(row["data"].encode() or b"null"),
        width=int(row["width"]),
        sequence=json.loads(row["sequence"] or "null"),
        recorded=_micros(row["arrived"]) // 1000,
    )


def _current(row: Mapping[str, Any]) -> Current:
    value = row["value"]
    if value is not None:
        value = bool(value) if row["kind"] == "boolean" else float(value)
    about = row["score_id"], row["run_id"], row["step_id"], row["name"], row["key"] or None
    return Current(*about, value, int(row["revision"]), row["reason"])


def _micros(number: Any) -> Micros:
    # ClickHouse writes 64-bit numbers as text in JSON, unless configured otherwise.
    return int(number)


def _plain(text: str) -> Any:
    """An attribute: anything but a string is stored as JSON."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def _quoted(text: str) -> str:
    """A text in an array of ClickHouse."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


__all__ = ["ClickHousePast", "Current", "Past"]
