"""Notices in ClickHouse: each as it stands, whichever way its records are repeated and ordered."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import permutations
from typing import Any

import pytest

from tests.receivers.made import SECRET, settings_of
from tests.store.conftest import Store, Written, record
from upshot.cli.commands.notices import QUERY
from upshot.insights.reader import Reader
from upshot.ops.doctor.receivers import examine_receivers

pytestmark = pytest.mark.stack

NOW = datetime.now(UTC)


def notice(revision: int, status: str, **changed: Any) -> Written:
    at = (NOW - timedelta(minutes=10 - revision)).isoformat()
    event = {
        "notice_id": "n1",
        "alert_id": "a1",
        "name": "low",
        "receiver": "ops",
        "receiver_kind": "webhook",
        "state": "firing",
        "status": status,
        "raised_at": at,
        "changed_at": at,
        "revision": revision,
    }
    return record("notices", event | changed)


async def test_any_order_and_repetition_is_the_same_row(store: Store) -> None:
    records = [notice(1, "pending"), notice(2, "retrying", last_status=503), notice(3, "sent", attempts=2)]
    for order in permutations(records):
        store.clear()
        for one in order:
            await store.take(one, one)
        assert store.values("SELECT status, attempts, last_status, revision FROM notices") == [
            ("sent", 2, None, 3)
        ]


async def test_the_doctor_and_the_command_read_them(store: Store) -> None:
    rule = {"name": "low", "kind": "score", "score": "helpful", "below": 0.3, "notify": ["ops", "osp"]}
    await store.take(
        record("alert-rules", rule | {"changed_at": NOW.isoformat()}),
        notice(1, "sent", notice_id="n0"),
        notice(2, "retrying", error="answered 503"),
        notice(3, "pending", notice_id="d", digest_of=["a7", "a8"]),
    )
    receivers = settings_of(ops={"kind": "webhook", "url": "http://127.0.0.1:9", "secret": SECRET})
    given = {"receivers": receivers.receivers, "receiver_allow": "127.0.0.1"}
    settings = store.settings.model_copy(update=given)
    finding = examine_receivers(Reader(settings), settings)
    assert finding.state == "wrong"
    assert "osp (of low)" in finding.found
    assert "ops answered 503: 1 notices wait, 0 were given up" in finding.found
    chosen = {"receiver": "", "alert": "a8", "failed": "false"}
    assert len(Reader(settings).query(QUERY, chosen).rows) == 1
    failed = Reader(settings).query(QUERY, chosen | {"alert": "", "failed": "true"}).objects()
    assert [row["notice_id"] for row in failed] == ["n1"]
