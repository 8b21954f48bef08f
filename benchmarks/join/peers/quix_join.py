"""Quix Streams: both topics as one stream, a stateful function, RocksDB and a changelog, at least once."""

from __future__ import annotations

from typing import Any

from place import COMMIT_INTERVAL, Moment, place
from plain import Score, join
from quixstreams import Application, State

here = place()
first = Moment(here.folder, "first")


def joined(event: dict[str, Any], state: State) -> Score | None:
    first.now()
    after, score = join(state.get("join"), event)
    state.set("join", after)
    return score


app = Application(
    broker_address=here.kafka,
    consumer_group=here.app,
    auto_offset_reset="earliest",
    commit_interval=COMMIT_INTERVAL,
    state_dir=here.folder / "quix",
    loglevel="WARNING",
)
waits, outcomes = (
    app.dataframe(app.topic(name, key_deserializer="str", value_deserializer="json"))
    for name in (here.waits, here.outcomes)
)
scores = app.topic(here.scores, key_serializer="str", value_serializer="json")
both = waits.concat(outcomes).apply(joined, stateful=True)
both.filter(lambda score: score is not None).to_topic(scores, key=lambda score: score["run_id"])
app.run()
