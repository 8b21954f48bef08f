"""What the doctor makes of workers' numbers."""

from __future__ import annotations

import pytest

from upshot.ops.doctor.pages import Worker
from upshot.ops.doctor.words import per_second, size, span
from upshot.ops.doctor.workers import deadlines, examine_workers, inserts, keeps_up, memory, recovery
from upshot.ops.telemetry.scrape import parse_page
from upshot.streams.metrics.declared import METRICS

#: Seconds between the two looks.
APART = 2.0


def worker(role: str, before: dict[str, float], after: dict[str, float]) -> Worker:
    """A worker by its metrics at two moments; attributes of a metric follow its name, as `lag in 0`."""
    pages = [
        parse_page("http://127.0.0.1:1/metrics", page_of(role, told), at)
        for at, told in ((1_000.0, before), (1_000.0 + APART, after))
    ]
    return Worker(*pages)


def page_of(role: str, told: dict[str, float]) -> str:
    lines = []
    for key, value in ({"process.uptime": 9.0} | told).items():
        name, *values = key.split()
        metric = METRICS[name]
        labels = {"role": role, **dict(zip(metric.attributes, values, strict=True))}
        pairs = ",".join(f'{label}="{text}"' for label, text in labels.items())
        lines.append(f"{metric.prometheus}{{{pairs}}} {value}")
    return "\n".join(lines) + "\n"


def reading(lag_before: float, lag_after: float, read: float) -> Worker:
    """A store that has read so much between two looks."""
    return worker(
        "store",
        {"upshot.consumer.lag in 0": lag_before, "upshot.consumer.records in": 500},
        {
            "upshot.consumer.lag in 0": lag_after,
            "upshot.consumer.lag in 1": 0,
            "upshot.consumer.records in": 500 + read,
            "upshot.consumer.partitions": 2,
        },
    )


def test_one_that_keeps_up() -> None:
    found = keeps_up("store", [reading(0, 900, 100)])
    assert (found.check, found.state) == ("pace store", "fine")
    assert found.found == "keeps up: reads 50/s, 500/s are written, 900 records are left; 2 partitions"


def test_one_that_catches_up_says_when() -> None:
    found = keeps_up("store", [reading(100_000, 90_000, 12_000)])
    assert found.state == "fine"
    assert found.found == (
        "90,000 records behind, most in in/0 (90,000); reads 6,000/s, 1,000/s are written: caught up in "
        "about 18 s"
    )


def test_one_that_falls_behind_is_noticed() -> None:
    found = keeps_up("store", [reading(90_000, 100_000, 12_000)])
    assert found.state == "notice"
    assert "it falls behind by 5,000/s" in found.found
    assert found.to_do == "start more workers: 1 share 2 partitions"
    shared = keeps_up(
        "store", [reading(90_000, 100_000, 12_000), reading(0, 0, 0), reading(0, 0, 0), reading(0, 0, 0)]
    )
    assert "start more" in shared.to_do
    lone = worker(
        "store",
        {},
        {
            "upshot.consumer.lag in 0": 50_000,
            "upshot.consumer.partitions": 1,
            "upshot.consumer.records in": 10,
        },
    )
    assert "a worker of its own" in keeps_up("store", [lone]).to_do


def test_one_that_stands_still_is_noticed() -> None:
    assert keeps_up("store", [reading(5_000, 5_000, 0)]).state == "notice"


def test_one_without_a_broker() -> None:
    found = keeps_up("correlate", [worker("correlate", {}, {"upshot.kafka.away": 300})])
    assert (found.state, "5 min" in found.found) == ("wrong", True)


def test_a_recovery_says_how_long() -> None:
    before = {"upshot.recovery.remaining": 1_500_000, "upshot.recovery.records": 0}
    after = {"upshot.recovery.remaining": 1_000_000, "upshot.recovery.records": 500_000}
    found = recovery([worker("correlate", before, after)])
    assert found.state == "notice"
    assert "1,000,000 records to go at 250,000/s, about 4 s" in found.found
    assert "nothing moved" in recovery([worker("correlate", after, after)]).to_do
    rest = {"upshot.recovery.remaining": 0, "upshot.table.keys 0": 7, "upshot.table.keys 1": 5}
    done = recovery([worker("correlate", before, rest)])
    assert (done.state, "12 subjects" in done.found) == ("fine", True)


@pytest.mark.parametrize(
    ("told", "state", "words"),
    [
        ({}, "fine", "none is to come"),
        ({"upshot.join.deadline.next": 600}, "fine", "due in 10 min"),
        ({"upshot.join.deadline.next": -2}, "fine", "due in 0 s"),
        (
            {
                "upshot.join.deadline.next": 9,
                "upshot.join.waits.open 0": 2_000,
                "upshot.join.waits.open 3": 5,
            },
            "fine",
            "2,005 waits are open",
        ),
        ({"upshot.join.deadline.next": -30}, "notice", "overdue by 30 s"),
        ({"upshot.join.deadline.next": -3_600}, "wrong", "overdue by 60 min"),
    ],
)
def test_deadlines(told: dict[str, float], state: str, words: str) -> None:
    found = deadlines([worker("correlate", {}, told)])
    assert (found.state, words in found.found) == (state, True), found


def test_a_deadline_that_waits_for_records_names_them() -> None:
    before = {"upshot.consumer.records outcomes": 0}
    after = {
        "upshot.join.deadline.next": -200,
        "upshot.join.unread outcomes 3": 8_000,
        "upshot.join.unread waits 1": 2_000,
        "upshot.consumer.records outcomes": 10_000,
    }
    found = deadlines([worker("correlate", before, after)])
    assert found.state == "notice"
    assert "10,000 records to be read first at 5,000/s, about 2 s" in found.found
    assert "most in outcomes/3 (8,000)" in found.found


def test_inserts() -> None:
    fine = inserts([worker("store", {"upshot.store.rows raw_runs": 0}, {"upshot.store.rows raw_runs": 50})])
    assert (fine.state, fine.found) == ("fine", "25 rows/s")
    trouble = {
        "upshot.clickhouse.away": 45,
        "upshot.store.retries raw_runs": 12,
        "upshot.consumer.lag in 0": 3_000,
    }
    found = inserts([worker("store", {}, trouble)])
    assert found.state == "wrong"
    assert found.found == "ClickHouse has not taken all rows for 45 s, 12 inserts failed; 3,000 records wait"


def test_memory() -> None:
    held = {"process.memory.usage": 3 * 2.0**29}
    assert memory([worker("correlate", {}, held)]).found == "correlate 1.5 GiB"
    assert memory([worker("correlate", {}, {"process.memory.usage": 2.0**60})]).state == "notice"


def test_all_of_them_and_none() -> None:
    assert examine_workers([]) == []
    found = examine_workers([worker("correlate", {}, {}), worker("store", {}, {})])
    checks = ["pace correlate", "pace store", "topics read", "recovery", "deadlines", "inserts", "memory"]
    assert [finding.check for finding in found] == checks


def test_words() -> None:
    assert [span(s) for s in (0.4, 119, 120, 7_199, 7_200, 200_000)] == [
        "0 s",
        "119 s",
        "2 min",
        "120 min",
        "2 h",
        "2 d",
    ]
    assert [per_second(r) for r in (0, 0.25, 9.5, 1_234.6)] == ["0/s", "0.2/s", "9.5/s", "1,235/s"]
    assert [size(b) for b in (2**20, 2**30)] == ["1 MiB", "1.0 GiB"]
