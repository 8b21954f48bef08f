"""The meaning of the workers' own numbers: which are behind, for how long, and the remedies."""

from __future__ import annotations

import os
from collections.abc import Sequence

from upshot.ops.doctor.finding import Finding, State
from upshot.ops.doctor.followups import executions
from upshot.ops.doctor.pages import Worker
from upshot.ops.doctor.words import per_second, size, span
from upshot.processors.roles import ROLES

#: A worker that could read what is left in so many seconds isn't behind: it's always some records.
_AT_HAND = 5.0
#: Records that are never called a backlog.
_FEW = 1_000
#: Seconds after which a deadline that is not judged is worth a word, and is wrong.
_OVERDUE, _LONG_OVERDUE = 5.0, 60.0
#: Seconds without progress after which a worker stands still, where no setting says so.
STALLED_AFTER = 30.0
_TO_DO_STANDING = (
    "see its log and that record; then end the worker, it is started again there: nothing is lost"
)
#: Of the machine's memory, from which it gets tight.
_TIGHT = 0.8


def examine_workers(workers: Sequence[Worker], stalled_after: float = STALLED_AFTER) -> list[Finding]:
    """A finding for each thing to know, of all workers together."""
    if not workers:
        return []
    of = {role: [worker for worker in workers if worker.role == role] for role in ROLES}
    found = [keeps_up(role, of[role], stalled_after) for role in ROLES if of[role]]
    found.append(losses(workers))
    if of["correlate"]:
        found += [recovery(of["correlate"]), deadlines(of["correlate"])]
    if of["store"]:
        found.append(inserts(of["store"]))
    if followups := of["followups"]:
        found.append(executions(followups))
    return [*found, memory(workers)]


def keeps_up(role: str, workers: Sequence[Worker], stalled_after: float = STALLED_AFTER) -> Finding:
    """Whether a role keeps up with the records written."""
    check = f"pace {role}"
    away = max(worker.now("upshot.kafka.away") for worker in workers)
    if away:
        found = f"no broker has answered for {span(away)}"
        return Finding(
            check, "wrong", found, "see Kafka above; the worker goes on by itself, nothing is lost"
        )
    read = sum(worker.rate("upshot.consumer.records") for worker in workers)
    lag = sum(worker.now("upshot.consumer.lag") for worker in workers)
    if standing := _standing(workers, stalled_after):
        return Finding(check, "wrong", f"{standing}; {lag:,.0f} records are left", _TO_DO_STANDING)
    growth = sum(_growth(worker) for worker in workers)
    partitions = round(sum(worker.now("upshot.consumer.partitions") for worker in workers))
    speed = f"reads {per_second(read)}, {per_second(max(0.0, read + growth))} are written"
    if lag <= max(_FEW, _AT_HAND * read):
        return Finding(
            check, "fine", f"keeps up: {speed}, {lag:,.0f} records are left; {partitions} partitions"
        )
    behind = f"{lag:,.0f} records behind, most in {_most_behind(workers)}; {speed}"
    if growth < 0:
        return Finding(check, "fine", f"{behind}: caught up in about {span(lag / -growth)}")
    if read == 0 and growth == 0:
        return Finding(check, "notice", f"{behind}", "see the lines below, and the worker's log")
    return Finding(
        check, "notice", f"{behind}: it falls behind by {per_second(growth)}", _more(workers, partitions)
    )


def recovery(workers: Sequence[Worker]) -> Finding:
    """Whether a table is being read back, and for how long."""
    left = sum(worker.now("upshot.recovery.remaining") for worker in workers)
    if not left:
        keys = sum(worker.now("upshot.table.keys") for worker in workers)
        return Finding("recovery", "fine", f"nothing to recover; {keys:,.0f} subjects in the table")
    rate = sum(worker.rate("upshot.recovery.records") for worker in workers)
    found = f"the table is being read from its changelog: {left:,.0f} records to go at {per_second(rate)}"
    if not rate:
        return Finding(
            "recovery", "notice", found, "nothing moved just now: see Kafka above and the worker's log"
        )
    return Finding(
        "recovery", "notice", f"{found}, about {span(left / rate)}", "wait: work goes on by itself after that"
    )


def deadlines(workers: Sequence[Worker]) -> Finding:
    """Whether deadlines are evaluated in time, and the cause of a delay."""
    known = [
        value for worker in workers if (value := worker.after.value("upshot.join.deadline.next")) is not None
    ]
    if not known:
        return Finding("deadlines", "fine", "none is to come")
    late = -min(known)
    if late < _OVERDUE:
        open_waits = sum(worker.now("upshot.join.waits.open") for worker in workers)
        found = f"in time, {open_waits:,.0f} waits are open, the next look is due in {span(max(0.0, -late))}"
        return Finding("deadlines", "fine", found)
    return _overdue(workers, late)


def _overdue(workers: Sequence[Worker], late: float) -> Finding:
    """The cause of a delay by so many seconds: unread records, or a fault."""
    found = f"the first is overdue by {span(late)}"
    unread: dict[tuple[str, int], float] = {}
    for worker in workers:
        unread |= worker.after.by_partition("upshot.join.unread")
    if not unread:
        state: State = "wrong" if late > _LONG_OVERDUE else "notice"
        to_do = "nothing is left to read before the deadline: see recovery, and the log of correlate"
        return Finding("deadlines", state, found, to_do)
    (topic, partition), most = max(unread.items(), key=lambda entry: entry[1])
    rate = sum(worker.rate("upshot.consumer.records") for worker in workers)
    time_left = f" at {per_second(rate)}, about {span(sum(unread.values()) / rate)}" if rate else ""
    waits = f"an answer may lie among {sum(unread.values()):,.0f} records to be read first{time_left}"
    worst = f"most in {topic}/{partition} ({most:,.0f})"
    return Finding(
        "deadlines",
        "notice",
        f"{found}: {waits}; {worst}",
        "wait, or start more workers: none is evaluated too early",
    )


def inserts(workers: Sequence[Worker]) -> Finding:
    """Whether ClickHouse takes rows."""
    away = max(worker.now("upshot.clickhouse.away") for worker in workers)
    retries = round(sum(worker.now("upshot.store.retries") for worker in workers))
    if away:
        left = sum(worker.now("upshot.consumer.lag") for worker in workers)
        found = (
            f"ClickHouse has not taken all rows for {span(away)}, {retries} inserts failed; {left:,.0f} "
            "records wait"
        )
        return Finding(
            "inserts",
            "wrong",
            found,
            "see ClickHouse above; the store tries again by itself, nothing is lost",
        )
    rows = sum(worker.rate("upshot.store.rows") for worker in workers)
    count = sum(worker.after.count("upshot.store.insert.size") for worker in workers)
    total = sum(worker.after.total("upshot.store.insert.size") for worker in workers)
    took = sum(worker.after.total("upshot.store.insert.duration") for worker in workers)
    mean = (
        f", {total / count:,.0f} rows an insert in {took / count * 1000:,.0f} ms on average" if count else ""
    )
    again = f"; {retries} had to be tried again since the start" if retries else ""
    return Finding("inserts", "fine", f"{per_second(rows, 'rows')}{mean}{again}")


def memory(workers: Sequence[Worker]) -> Finding:
    """The workers' memory, beside this machine's where they run here."""
    held = ", ".join(f"{worker.role} {size(worker.now('process.memory.usage'))}" for worker in workers)
    here = sum(worker.now("process.memory.usage") for worker in workers if "//127.0.0.1:" in worker.after.url)
    machine = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    if here > _TIGHT * machine:
        to_do = (
            "shorten UPSHOT_SETTLED_RETENTION and UPSHOT_LOOK_BACK, or share the partitions among more "
            "machines"
        )
        return Finding("memory", "notice", f"{held}, of {size(machine)} that this machine has", to_do)
    return Finding("memory", "fine", held)


def losses(workers: Sequence[Worker]) -> Finding:
    """Whether records were removed before they were read,
    and whether topics are still the topics being read.
    """
    away = {
        topic: seconds
        for worker in workers
        for topic, seconds in worker.after.by("upshot.topic.unsettled", "topic").items()
        if seconds
    }
    if away:
        topic, seconds = max(away.items(), key=lambda entry: entry[1])
        found = f"{topic} has been gone, or made anew and not taken up, for {span(seconds)}: deadlines wait"
        return Finding(
            "topics read", "wrong", found, "make it again where it's missing: upshot migrate; see its log"
        )
    lost = sum(worker.now("upshot.consumer.lost") for worker in workers)
    if lost:
        found = f"{lost:,.0f} records were removed by retention, or by hand, before they were read"
        return Finding(
            "topics read", "notice", found, "the log of that worker names them; give the topic more time"
        )
    changes = sum(worker.now("upshot.topic.changes") for worker in workers)
    since = f"; {changes:,.0f} times since the start one was gone, made anew or resized" if changes else ""
    return Finding("topics read", "fine", f"nothing was removed before it was read{since}")


def _standing(workers: Sequence[Worker], after: float) -> str:
    """The partition standing the longest, with its place; empty where none has stood for too long."""
    stalled = {
        tp: (seconds, worker)
        for worker in workers
        for tp, seconds in worker.after.by_partition("upshot.consumer.stalled").items()
        if seconds >= after
    }
    if not stalled:
        return ""
    (topic, partition), (seconds, worker) = max(stalled.items(), key=lambda entry: entry[1][0])
    offset = worker.after.by_partition("upshot.consumer.position").get((topic, partition), 0)
    others = f", as do {len(stalled) - 1} more partitions" if len(stalled) > 1 else ""
    return f"stands still for {span(seconds)} at {topic}/{partition}/{offset:.0f}{others}"


def _growth(worker: Worker) -> float:
    """By how much the lag grows, each second."""
    before = worker.before.value("upshot.consumer.lag") or 0.0
    return (worker.now("upshot.consumer.lag") - before) / worker.seconds


def _most_behind(workers: Sequence[Worker]) -> str:
    lags = {tp: lag for w in workers for tp, lag in w.after.by_partition("upshot.consumer.lag").items()}
    (topic, partition), lag = max(lags.items(), key=lambda entry: entry[1])
    return f"{topic}/{partition} ({lag:,.0f})"


def _more(workers: Sequence[Worker], partitions: int) -> str:
    if partitions > len(workers):
        return f"start more workers: {len(workers)} share {partitions} partitions"
    return (
        "every partition has a worker of its own: it takes a faster machine, or a prefix with more partitions"
    )


__all__ = ["deadlines", "examine_workers", "inserts", "keeps_up", "memory", "recovery"]
