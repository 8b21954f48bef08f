"""bytewax: both topics, a stateful step, its recovery store, up to the end of the topics."""

from __future__ import annotations

import signal
from datetime import timedelta

import bytewax.operators as op
import msgspec
from bytewax.connectors.kafka import KafkaSink, KafkaSinkMessage, KafkaSource, KafkaSourceMessage
from bytewax.dataflow import Dataflow
from bytewax.recovery import RecoveryConfig, init_db_dir
from bytewax.testing import cluster_main
from place import COMMIT_INTERVAL, Moment, place
from plain import Score, State, join

here = place()
first, committed = Moment(here.folder, "first"), Moment(here.folder, "committed")
decode, encode = msgspec.json.decode, msgspec.json.encode


def keyed(message: KafkaSourceMessage) -> tuple[str, bytes]:
    first.now()
    return message.key.decode(), message.value


def joined(state: State | None, value: bytes) -> tuple[State, list[Score]]:
    after, score = join(state, decode(value))
    return after, [] if score is None else [score]


def message(scored: tuple[str, Score]) -> KafkaSinkMessage:
    return KafkaSinkMessage(scored[1]["run_id"].encode(), encode(scored[1]))


flow = Dataflow("join")
source = KafkaSource([here.kafka], [here.waits, here.outcomes], tail=False)
by_subject = op.map("key", op.input("events", flow, source), keyed)
scored = op.stateful_flat_map("join", by_subject, joined)
op.output("scores", op.map("encode", scored, message), KafkaSink([here.kafka], here.scores))

recovery = here.folder / "recovery"
recovery.mkdir()
init_db_dir(recovery, 1)
cluster_main(
    flow,
    [],
    0,
    epoch_interval=timedelta(seconds=COMMIT_INTERVAL),
    recovery_config=RecoveryConfig(str(recovery)),
)
committed.now()

# Its figures are read from outside.
signal.pause()
