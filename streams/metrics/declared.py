"""Every metric emitted by a worker, declared once.

Names and units follow OpenTelemetry's conventions. Each measurement also carries the attribute `role`
(`correlate`, `store`, …). Counters count since the process started.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

#: `counter`: only grows. `gauge`: how it stands now. `histogram`: how often which size occurred.
Kind = Literal["counter", "gauge", "histogram"]

#: Seconds, from what a healthy part takes to what makes people wait.
DURATIONS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
#: Seconds, from an event that has just come to a backlog of days.
AGES = (0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 300.0, 3_600.0, 21_600.0, 86_400.0, 604_800.0)
#: Records or rows.
SIZES = (1.0, 5.0, 10.0, 50.0, 100.0, 500.0, 1_000.0, 2_500.0, 5_000.0, 10_000.0, 25_000.0, 50_000.0)


@dataclass(frozen=True)
class Metric:
    """A metric. `when` is the condition for emitting the metric.

    Where empty, the metric is always emitted.
    """

    name: str
    kind: Kind
    unit: str
    meaning: str
    attributes: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()
    when: str = ""

    @property
    def prometheus(self) -> str:
        """Its name on a page for Prometheus."""
        suffix = {"s": "_seconds", "By": "_bytes"}.get(self.unit, "")
        return self.name.replace(".", "_") + suffix + ("_total" if self.kind == "counter" else "")


_ALL = (
    # What the batch room tells of any role: reading, the unit of work, its partitions.
    Metric(
        "upshot.consumer.records",
        "counter",
        "{record}",
        "Records that were processed. After a restart some come again and count again.",
        ("topic",),
        when="records were read",
    ),
    Metric(
        "upshot.consumer.lag",
        "gauge",
        "{record}",
        "Records that are written and not processed yet, as of the last fetch.",
        ("topic", "partition"),
        when="the partition is this worker's",
    ),
    Metric(
        "upshot.consumer.position",
        "gauge",
        "{offset}",
        "The offset of the next record to be processed.",
        ("topic", "partition"),
        when="the partition is this worker's",
    ),
    Metric(
        "upshot.consumer.stalled",
        "gauge",
        "s",
        "For how long nothing was processed although there are records to read; 0 where all is read or it "
        "moves. What an open transaction holds back doesn't count.",
        ("topic", "partition"),
        when="the partition is this worker's",
    ),
    Metric(
        "upshot.consumer.held_back",
        "gauge",
        "s",
        "For how long a producer's open transaction has held back records; 0 where none does.",
        ("topic", "partition"),
        when="the partition is this worker's",
    ),
    Metric(
        "upshot.consumer.lost",
        "counter",
        "{record}",
        "Offsets that Kafka had removed, by the topic's retention or by hand, before they were read.",
        ("topic",),
        when="records were lost",
    ),
    Metric(
        "upshot.topic.unsettled",
        "gauge",
        "s",
        "For how long a topic that the role reads has been gone, or made anew and not taken up yet; 0 where "
        "all is well. No deadline is judged meanwhile.",
        ("topic",),
    ),
    Metric(
        "upshot.topic.changes",
        "counter",
        "{change}",
        "What happened to topics that the role reads: `gone`, `made` anew, or `resized`: it has another "
        "number of partitions.",
        ("topic", "change"),
        when="it happened",
    ),
    Metric(
        "upshot.consumer.partitions",
        "gauge",
        "{partition}",
        "Partitions that this worker works on. 0 while it joins the group or recovers.",
    ),
    Metric(
        "upshot.consumer.rebalances",
        "counter",
        "{rebalance}",
        "Times that partitions were given to this worker.",
    ),
    Metric(
        "upshot.consumer.age",
        "histogram",
        "s",
        "How old the oldest record of a batch is when its processing begins, by its timestamp.",
        buckets=AGES,
        when="records were read",
    ),
    Metric(
        "upshot.consumer.batch.size",
        "histogram",
        "{record}",
        "Records of one batch, of all partitions together.",
        buckets=SIZES,
        when="records were read",
    ),
    Metric(
        "upshot.cycle.duration",
        "histogram",
        "s",
        "How long each part of the unit of work took. `process`: the handler's work on a batch; `tick`: its "
        "look at the clock; `changelog`: until the broker has the table's changes; `flush`: until outputs "
        "and rows are durable, before a commit; `commit`: until the broker has the offsets.",
        ("part",),
        buckets=DURATIONS,
        when="the part has run",
    ),
    Metric(
        "upshot.producer.records",
        "counter",
        "{record}",
        "Records that were handed to the producer, the changelog's among them.",
        ("topic",),
        when="records were written",
    ),
    Metric(
        "upshot.dead_letters",
        "counter",
        "{record}",
        "Records that this role could not use, by reason.",
        ("reason",),
    ),
    Metric(
        "upshot.kafka.away",
        "gauge",
        "s",
        "For how long no broker has answered; 0 while one does.",
    ),
    # The table of a role that has one.
    Metric(
        "upshot.table.keys",
        "gauge",
        "{key}",
        "Keys of the table, of the partitions that this worker works on.",
        ("partition",),
        when="the partition is this worker's (roles with a table)",
    ),
    Metric(
        "upshot.recovery.remaining",
        "gauge",
        "{record}",
        "Records of the changelog that are to be read before work begins; 0 while it works.",
        when="roles with a table",
    ),
    Metric(
        "upshot.recovery.records",
        "counter",
        "{record}",
        "Records of the changelog that were read to recover the table.",
        when="roles with a table",
    ),
    Metric(
        "upshot.standby.lag",
        "gauge",
        "{record}",
        "Records of the changelog that this worker's copy of another's partition has not taken over yet.",
        ("partition",),
        when="it stands by for the partition (roles with a table)",
    ),
    # The join.
    Metric(
        "upshot.join.events",
        "counter",
        "{event}",
        "What became of events. Outcomes are `joined` (a question waited for it), `early` (nobody asks yet), "
        "`noted` (it leaves the answer as it is), `corrected` (it replaces an answer), `late` (it came after "
        "the deadline was judged) or `repeated` (known already). Waits are `opened`, `answered` (the answer "
        "was here already) or `repeated`, later `expired`, or `cancelled`. `erased`: forgotten, or of what "
        "was. `forwarded`: it lay on another partition than its subject's.",
        ("event",),
        when="role correlate",
    ),
    Metric(
        "upshot.join.waits.open",
        "gauge",
        "{wait}",
        "Waits that have no answer yet and whose deadline is still to be judged.",
        ("partition",),
        when="role correlate",
    ),
    Metric(
        "upshot.join.deadline.next",
        "gauge",
        "s",
        "Seconds until the next subject needs a look, for a deadline or to be forgotten; below 0 it's "
        "overdue.",
        when="one is known (role correlate)",
    ),
    Metric(
        "upshot.join.unread",
        "gauge",
        "{record}",
        "Records that must be read before deadlines that are due can be judged.",
        ("topic", "partition"),
        when="deadlines wait for it (role correlate)",
    ),
    # Follow-ups.
    Metric(
        "upshot.followups.events",
        "counter",
        "{event}",
        "What happened to follow-ups. Arrivals: `deferred`; `answered`, by an event or the end of its time; "
        "`corrected`: otherwise than before; `reopened`: not any more; `early`: before its deferral; "
        "`retried` by somebody; `cancelled`: nobody defers it any more; `erased`: forgotten; `repeated`: "
        "known already; `forwarded` to its partition. The clock: `woken` by a timer; `undeployed`: its code "
        "isn't here, at each look; `retired`: forgotten. Executions: `started`; `kept`: what steps gave; "
        "`waiting` and `done`: how they ended; `again`: failed, to be tried again; `failed` for good; "
        "`overtaken`: something new came meanwhile; `withdrawn`: all that a cancelled one had said was taken "
        "back.",
        ("event",),
        when="role followups",
    ),
    Metric(
        "upshot.followups.running",
        "gauge",
        "{execution}",
        "Executions of follow-ups' code that are under way.",
        when="role followups",
    ),
    Metric(
        "upshot.followups.running.oldest",
        "gauge",
        "s",
        "For how long the oldest of them has been running; 0 where there is none.",
        when="role followups",
    ),
    Metric(
        "upshot.followups.undeployed",
        "gauge",
        "{followup}",
        "Follow-ups that wait for code that this worker's app doesn't have.",
        ("scorer", "version"),
        when="there are any (role followups)",
    ),
    # The store.
    Metric(
        "upshot.store.rows",
        "counter",
        "{row}",
        "Rows that ClickHouse has acknowledged.",
        ("table",),
        when="role store",
    ),
    Metric(
        "upshot.store.rejected",
        "counter",
        "{row}",
        "Rows that ClickHouse can't take, whatever is tried; kept as dead letters.",
        when="role store",
    ),
    Metric(
        "upshot.store.skipped",
        "counter",
        "{record}",
        "Records that are the join's to refuse: no row, no dead letter of the store's.",
        when="role store",
    ),
    Metric(
        "upshot.store.insert.duration",
        "histogram",
        "s",
        "How long one insert took that ClickHouse has acknowledged, tries before it not counted.",
        ("table",),
        buckets=DURATIONS,
        when="rows were inserted (role store)",
    ),
    Metric(
        "upshot.store.insert.size",
        "histogram",
        "{row}",
        "Rows of one insert.",
        ("table",),
        buckets=SIZES,
        when="rows were inserted (role store)",
    ),
    Metric(
        "upshot.store.retries",
        "counter",
        "{insert}",
        "Inserts that failed and were tried again.",
        ("table",),
        when="role store",
    ),
    Metric(
        "upshot.clickhouse.away",
        "gauge",
        "s",
        "For how long inserts into some table have failed; 0 while all work.",
        when="role store",
    ),
    # The process, and the telling itself.
    Metric(
        "upshot.ops.telemetry.failures",
        "counter",
        "{export}",
        "Exports that did not reach the OpenTelemetry collector; what they held is told again with the next "
        "one.",
        when="metrics are pushed",
    ),
    Metric(
        "process.memory.usage",
        "gauge",
        "By",
        "Memory that the process holds (resident set).",
        when="Linux",
    ),
    Metric(
        "process.cpu.time",
        "counter",
        "s",
        "Processor time, of `user` and `system`.",
        ("cpu.mode",),
    ),
    Metric(
        "process.uptime",
        "gauge",
        "s",
        "How long the process has been running.",
    ),
)

METRICS = {metric.name: metric for metric in _ALL}

__all__ = ["AGES", "DURATIONS", "METRICS", "SIZES", "Kind", "Metric"]
