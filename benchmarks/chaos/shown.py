"""Reads from ClickHouse what people would see."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import clickhouse_connect

from benchmarks.chaos.anew import placed_at
from benchmarks.chaos.check import Current, Revision, Shown
from benchmarks.chaos.oracle import Answer
from upshot.settings import Settings

_CURRENT = (
    "SELECT run_id, name, subject, value, reason, kind, outcome_id, score_id, revision FROM current_scores"
)
_HISTORY = (
    "SELECT run_id, name, subject, value, reason, kind, outcome_id, score_id, revision, supersedes FROM "
    "scores"
)


def shown(settings: Settings, cuts: Mapping[str, Sequence[float]] | None = None) -> Shown:
    """Everything; `cuts` are when topics were made anew.

    Raises what clickhouse-connect raises where the server doesn't answer.
    """
    client = clickhouse_connect.get_client(
        dsn=settings.clickhouse_url.get_secret_value(), send_receive_timeout=60
    )
    try:
        return _read(lambda sql: list(client.query(sql).result_rows), settings.topic_prefix, cuts or {})
    finally:
        client.close()


def _read(rows: Any, prefix: str, cuts: Mapping[str, Sequence[float]]) -> Shown:
    return Shown(
        current=[Current(tuple(row[:3]), Answer(*row[3:7]), row[7], row[8]) for row in rows(_CURRENT)],
        history=[
            Revision(row[7], row[8], row[9], tuple(row[:3]), Answer(*row[3:7])) for row in rows(_HISTORY)
        ],
        open=[tuple(row) for row in rows("SELECT run_id, name, subject FROM pending")],
        runs=[row[0] for row in rows("SELECT run_id FROM runs")],
        waits=[tuple(row) for row in rows("SELECT run_id, name, subject FROM waits WHERE reply_to = ''")],
        outcomes=[tuple(row) for row in rows("SELECT subject, source, id FROM outcomes")],
        letters=[
            (reason, (name := topic.removeprefix(prefix), partition, placed_at(cuts, name, offset, at)))
            for reason, topic, partition, offset, at in rows(
                "SELECT reason, topic, partition, offset, toUnixTimestamp64Micro(recorded_at) / 1e6 FROM "
                "dead_letters"
            )
        ],
    )


__all__ = ["shown"]
