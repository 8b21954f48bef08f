"""Every metric emitted by a worker, declared once.

Names and units follow OpenTelemetry's conventions. Each measurement also carries the attribute `role`
(`correlate`, `store`, …). Counters count since the process started.
"""

from __future__ import annotations

from upshot.streams.metrics.declared_alerts import ALERTS
from upshot.streams.metrics.metric import AGES, DURATIONS, SIZES, Metric
from upshot.streams.metrics.notices import NOTICES

_ALL = (
    *ALERTS,
    # Metrics of the batch engine, for any role: reading, the unit of work, its partitions.
    Metric(
        "upshot.consumer.records",
        "counter",
        "{record}",
        "Processed records. After a restart some records come again and count again.",
        ("topic",),
        when="records were read",
    ),
    Metric(
        "upshot.consumer.lag",
        "gauge",
        "{record}",
        "Records written and not processed yet, as of the last fetch.",
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
        "For how long nothing was processed although there are records to read; 0 where all is read "
        "or work moves. Records behind an open transaction don't count.",
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
        "Offsets removed by Kafka, through the topic's retention or by hand, before the role read them.",
        ("topic",),
        when="records were lost",
    ),
    Metric(
        "upshot.topic.unsettled",
        "gauge",
        "s",
        "For how long a topic of the role has been gone, or was made anew and is not taken up yet; 0 "
        "where all is well. No deadline is evaluated meanwhile.",
        ("topic",),
    ),
    Metric(
        "upshot.topic.changes",
        "counter",
        "{change}",
        "Changes of the role's topics: `gone`, `made` anew, or `resized`: another number of partitions.",
        ("topic", "change"),
        when="it happened",
    ),
    Metric(
        "upshot.consumer.partitions",
        "gauge",
        "{partition}",
        "Partitions assigned to this worker and being processed. 0 while the worker joins the group "
        "or recovers.",
    ),
    Metric(
        "upshot.consumer.rebalances",
        "counter",
        "{rebalance}",
        "Assignments of partitions to this worker.",
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
        "Records of a batch, of all partitions together.",
        buckets=SIZES,
        when="records were read",
    ),
    Metric(
        "upshot.cycle.duration",
        "histogram",
        "s",
        "How long each phase of the unit of work took. `process`: the handler's work on a batch; "
        "`tick`: timers; `changelog`: until the broker has the table's changes; `flush`: until "
        "outputs and rows are durable, before a commit; `commit`: until the broker has the offsets.",
        ("part",),
        buckets=DURATIONS,
        when="the part has run",
    ),
    Metric(
        "upshot.producer.records",
        "counter",
        "{record}",
        "Records handed to the producer, the changelog's among them.",
        ("topic",),
        when="records were written",
    ),
    Metric(
        "upshot.dead_letters",
        "counter",
        "{record}",
        "Records this role could not use, by reason.",
        ("reason",),
        when="the role reads events (all roles but materialize)",
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
        "Keys of the table, in the partitions of this worker.",
        ("partition",),
        when="the partition is this worker's (roles with a table)",
    ),
    Metric(
        "upshot.recovery.remaining",
        "gauge",
        "{record}",
        "Records of the changelog still to be read before work begins; 0 while the role works.",
        when="roles with a table",
    ),
    Metric(
        "upshot.recovery.records",
        "counter",
        "{record}",
        "Records of the changelog read to recover the table.",
        when="roles with a table",
    ),
    Metric(
        "upshot.standby.lag",
        "gauge",
        "{record}",
        "Records of the changelog not yet applied to this worker's copy of another worker's partition.",
        ("partition",),
        when="the worker stands by for the partition (roles with a table)",
    ),
    # The join.
    Metric(
        "upshot.join.events",
        "counter",
        "{event}",
        "Results of events. Outcomes are `joined` (a wait was open for the outcome), `early` (no "
        "wait yet), `noted` (the answer stays), `corrected` (the outcome replaces an answer), `late` "
        "(arrived after the deadline was evaluated) or `repeated` (known already). Waits are "
        "`opened`, `answered` (the outcome was here already) or `repeated`, later `expired`, or "
        "`cancelled`. `erased`: forgotten, or about an erased subject. `forwarded`: the record lay "
        "on another partition than its subject's.",
        ("event",),
        when="role correlate",
    ),
    Metric(
        "upshot.join.waits.open",
        "gauge",
        "{wait}",
        "Waits without an answer whose deadline is still to be evaluated.",
        ("partition",),
        when="role correlate",
    ),
    Metric(
        "upshot.join.deadline.next",
        "gauge",
        "s",
        "Seconds until the next subject is due, for a deadline or to be forgotten; below 0: overdue.",
        when="a due time is known (role correlate)",
    ),
    Metric(
        "upshot.join.unread",
        "gauge",
        "{record}",
        "Records to be read before due deadlines can be evaluated.",
        ("topic", "partition"),
        when="deadlines wait for these records (role correlate)",
    ),
    # Follow-ups.
    Metric(
        "upshot.followups.events",
        "counter",
        "{event}",
        "Events of follow-ups. Arrivals: `deferred`; `answered`, by an event or the end of the wait; "
        "`corrected`: another answer than before; `reopened`: the answer was withdrawn; `early`: "
        "before the deferral; `retried` by somebody; `cancelled`: no longer deferred by anybody; "
        "`erased`: forgotten; `repeated`: known already; `forwarded` to its partition. The clock: "
        "`woken` by a timer; `undeployed`: the code isn't here, at each look; `retired`: forgotten. "
        "Executions: `started`; `kept`: results of steps; `waiting` and `done`: how executions "
        "ended; `again`: failed, to be tried again; `failed` for good; `overtaken`: an event came "
        "meanwhile; `withdrawn`: all results of a cancelled follow-up were taken back.",
        ("event",),
        when="role followups",
    ),
    Metric(
        "upshot.followups.running",
        "gauge",
        "{execution}",
        "Executions of follow-ups' code under way.",
        when="role followups",
    ),
    Metric(
        "upshot.followups.running.oldest",
        "gauge",
        "s",
        "For how long the oldest execution has been running; 0 where there is none.",
        when="role followups",
    ),
    Metric(
        "upshot.followups.undeployed",
        "gauge",
        "{followup}",
        "Follow-ups waiting for code absent from this worker's app.",
        ("scorer", "version"),
        when="there are any (role followups)",
    ),
    *NOTICES,
    # The store.
    Metric(
        "upshot.store.rows",
        "counter",
        "{row}",
        "Rows acknowledged by ClickHouse.",
        ("table",),
        when="role store",
    ),
    Metric(
        "upshot.store.rejected",
        "counter",
        "{row}",
        "Rows refused by ClickHouse, whatever is tried; kept as dead letters.",
        when="role store",
    ),
    Metric(
        "upshot.store.skipped",
        "counter",
        "{record}",
        "Records refused by the join: the store writes no row and no dead letter.",
        when="role store",
    ),
    Metric(
        "upshot.store.insert.duration",
        "histogram",
        "s",
        "How long an acknowledged insert took; failed tries before are not counted.",
        ("table",),
        buckets=DURATIONS,
        when="rows were inserted (role store)",
    ),
    Metric(
        "upshot.store.insert.size",
        "histogram",
        "{row}",
        "Rows of an insert.",
        ("table",),
        buckets=SIZES,
        when="rows were inserted (role store)",
    ),
    Metric(
        "upshot.store.retries",
        "counter",
        "{insert}",
        "Failed inserts, tried again later.",
        ("table",),
        when="role store",
    ),
    # The rows for reading.
    Metric(
        "upshot.materialize.lag",
        "gauge",
        "s",
        "Seconds since the instant up to which all stored facts are in the rows for reading.",
        when="role materialize",
    ),
    Metric(
        "upshot.materialize.runs",
        "counter",
        "{run}",
        "Runs whose rows for reading were written.",
        when="role materialize",
    ),
    Metric(
        "upshot.materialize.contended",
        "counter",
        "{run}",
        "Runs that another writer claimed at the same time: written again.",
        when="role materialize",
    ),
    Metric(
        "upshot.clickhouse.away",
        "gauge",
        "s",
        "For how long inserts into some table have failed; 0 while all work.",
        when="role store",
    ),
    # The process, and the export itself.
    Metric(
        "upshot.ops.telemetry.failures",
        "counter",
        "{export}",
        "Exports not taken by the OpenTelemetry collector; the next export carries their content again.",
        when="metrics are pushed",
    ),
    Metric(
        "process.memory.usage",
        "gauge",
        "By",
        "Memory of the process (resident set).",
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

__all__ = ["METRICS"]
