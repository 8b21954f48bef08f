"""Stock Faust: one agent, one table, at least once."""

from __future__ import annotations

import sys
from typing import Any

import faust
from place import COMMIT_INTERVAL, Moment, place
from plain import join

here = place()
first = Moment(here.folder, "first")
app = faust.App(
    here.app,
    broker=f"kafka://{here.kafka}",
    store=sys.argv[4],
    datadir=str(here.folder / "faust"),
    topic_partitions=4,
    topic_disable_leader=True,
    broker_commit_interval=COMMIT_INTERVAL,
)
events = app.topic(here.waits, here.outcomes, key_type=str, value_serializer="json")
scores = app.topic(here.scores, key_type=str, value_serializer="json")
states = app.Table("state", partitions=4)


@app.agent(events)
async def joined(stream: Any) -> None:
    async for subject, event in stream.items():
        first.now()
        states[subject], score = join(states.get(subject), event)
        if score is not None:
            await scores.send(key=score["run_id"], value=score)


sys.argv = [sys.argv[0], "worker", "--without-web", "--loglevel", "warn"]
app.main()
