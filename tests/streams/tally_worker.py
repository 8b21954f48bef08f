"""A worker as a process: tallies the numbered records of each key. Run by the tests, killed by some.

The records of a key carry 0, 1, 2, ... as value, in order. The state of a key is what was tallied last and
the sum so far; each record's output is its number with that sum. A record that comes again says the same
again, so what is lost, or counted twice, shows.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from upshot.settings import Settings
from upshot.streams.events.records import Record
from upshot.streams.kafka.logs import log_one_line
from upshot.streams.runtime import TP, BatchApp, BatchContext, Change, Effects, Output, Timing, batch_app
from upshot.streams.runtime.runner import main


class Tally:
    """`generation:number:sum` by key, where the generation is that of the group at the time of writing."""

    def __init__(self, context: BatchContext, source: str, out: str) -> None:
        self.topics = [source]
        self.app: BatchApp
        self._table = context.table
        self._out = out

    async def assigned(self, tps: frozenset[TP]) -> None:
        logging.info("assigned %s", sorted(tp.partition for tp in tps))

    async def revoked(self, tps: frozenset[TP]) -> None:
        logging.info("revoked %s", sorted(tp.partition for tp in tps))

    async def process(self, batches: Mapping[TP, Sequence[Record]]) -> Effects:
        effects = Effects()
        generation = b"%d" % self.app.consumer.generation
        for tp, batch in batches.items():
            changes = effects.changes.setdefault(tp.partition, {})
            for record in batch:
                if record.value == b"kill":
                    os.kill(os.getpid(), signal.SIGKILL)
                key, number = record.key or b"", int(record.value or b"")
                change = changes.get(key)
                state = change.value if change else self._table.get(tp.partition, key) or b"0:-1:0"
                _, last, total = map(int, state.split(b":"))
                if number == last + 1:
                    changes[key] = Change(b"%b:%d:%d" % (generation, number, total + number))
                elif number > last:
                    raise AssertionError(f"{key!r} goes from {last} to {number}")
                effects.outputs.append(
                    Output(self._out, None, key, b"%d:%d" % (number, number * (number + 1) // 2))
                )
        return effects

    async def tick(self) -> Effects:
        return Effects()

    async def flush(self) -> None:
        pass


def make() -> BatchApp:
    url, folder, app_id, source, out, records, *name = sys.argv[1:]
    # One that has a name must be back before its session ends, however slow the machine.
    session = 60.0 if any(name) else 2.0
    timing = Timing(poll_records=int(records), session_timeout=session, rebalance_within=5.0, stop_within=3.0)
    made: list[Tally] = []

    def handler(context: BatchContext) -> Tally:
        made.append(Tally(context, source, out))
        return made[0]

    settings = Settings(kafka_url=url, commit_interval=0.2, data_dir=Path(folder), worker_id="".join(name))
    app = batch_app(app_id, settings, handler, table_name="tally", timing=timing)
    made[0].app = app
    return app


if __name__ == "__main__":
    log_one_line()
    main(make)
