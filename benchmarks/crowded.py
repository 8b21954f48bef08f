"""What one more outcome costs on a subject that holds many: the core alone, without Kafka.

    python -m benchmarks.crowded [--mode count] [--waits 1] [--outcomes 100000] [--batch 100] [--plain]

Every fifth of the way it tells the CPU time of an outcome, and the bytes that the table is given for it.
`--plain` keeps the subject as one value, however much it holds.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from datetime import timedelta
from time import process_time

from msgspec import Raw

from upshot.processors.correlate.crowded import Crowds, Limits
from upshot.processors.correlate.deadlines import Horizons, next_look
from upshot.processors.correlate.decide import step
from upshot.processors.correlate.facts import OutcomeReceived, WaitReceived
from upshot.processors.correlate.state import (
    StoredMatch,
    StoredOutcome,
    StoredRule,
    StoredWait,
    Subject,
    decode_subject,
    encode_subject,
)
from upshot.streams.runtime import Change

BEGIN = 1_783_000_000_000_000
MONTH = timedelta(days=30)
HORIZONS = Horizons(MONTH, MONTH, timedelta(seconds=1))
LIMITS = Limits(10**10, 10**8)
NAME = "subject"


class Table:
    """A table in memory that counts what it's given."""

    def __init__(self) -> None:
        self.values: dict[bytes, bytes] = {}
        self.written = 0

    def get_many(self, partition: int, keys: Sequence[bytes]) -> list[bytes | None]:
        return [self.values.get(key) for key in keys]

    def apply(self, changes: Mapping[bytes, Change | None]) -> None:
        for key, change in changes.items():
            value = b"" if change is None else change.value
            self.written += len(key) + len(value)
            self.values[key] = value


def outcome(number: int) -> OutcomeReceived:
    time = BEGIN + number * 1000
    data = Raw(b'{"v":1.5}')
    return OutcomeReceived(
        NAME,
        StoredOutcome(f"id-{number}", "t", time, time, 0, number, "source", data, 999, None, time // 1000),
    )


def asked(mode: str, waits: int) -> Subject:
    rule = StoredRule({"t": StoredMatch("data.v")}, None, mode).json  # type: ignore[arg-type]
    window = BEGIN, BEGIN, BEGIN + 10**12
    questions = [StoredWait(f"w{n}", "run", "name", *window, rule, tolerance=0) for n in range(waits)]
    return step({}, [WaitReceived(NAME, question) for question in questions], BEGIN).subjects[NAME]


def plain(table: Table, batch: Sequence[OutcomeReceived], now: int) -> None:
    before = decode_subject(table.values[NAME.encode()])
    after = step({NAME: before}, batch, now).subjects[NAME]
    table.apply({NAME.encode(): Change(encode_subject(after) or b"")})


def crowded(crowds: Crowds, table: Table, batch: Sequence[OutcomeReceived], now: int) -> None:
    table.apply(crowds.append(0, NAME, batch, now, LIMITS) or {})
    while crowds.is_busy:
        for changes in crowds.turn(lambda _: BEGIN, now).changes.values():
            table.apply(changes)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--mode", default="count")
    parser.add_argument("--waits", type=int, default=1)
    parser.add_argument("--outcomes", type=int, default=100_000)
    parser.add_argument("--batch", type=int, default=100)
    parser.add_argument("--plain", action="store_true")
    said = parser.parse_args()
    table, subject = Table(), asked(said.mode, said.waits)
    crowds = Crowds(lambda: table, HORIZONS)
    if said.plain:
        table.apply({NAME.encode(): Change(encode_subject(subject) or b"")})
    else:
        table.apply(crowds.convert(0, NAME, subject, next_look(subject, HORIZONS)))
    part = said.outcomes // 5
    for first in range(0, part * 5, part):
        begun, written = process_time(), table.written
        for number in range(first, first + part, said.batch):
            batch = [outcome(n) for n in range(number, min(number + said.batch, first + part))]
            if said.plain:
                plain(table, batch, BEGIN + number)
            else:
                crowded(crowds, table, batch, BEGIN + number)
        micros = (process_time() - begun) / part * 1e6
        print(
            f"{first + part:>9,} outcomes: {micros:,.0f} µs, {(table.written - written) / part:,.0f} bytes "
            "each"
        )


if __name__ == "__main__":
    main()
