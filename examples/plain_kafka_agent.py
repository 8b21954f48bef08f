"""An agent that takes part with nothing but a Kafka client: plain JSON on topics, no code of ours.

    upshot up                              # in another terminal
    python examples/plain_kafka_agent.py

Any language's client will do; this is aiokafka. Each record's key is the run's id or the subject.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from aiokafka import AIOKafkaProducer

KAFKA = os.environ.get("KAFKA", "127.0.0.1:9092")


async def handle(order: str, send: Any) -> str:
    """One run: a refund is decided on, and asked is whether the customer complains within 30 days."""
    run_id = f"plain-{uuid4().hex}"
    run: dict[str, Any] = {"run_id": run_id, "agent": "refunds", "started_at": now()}
    await send("runs", run_id, {**run, "status": "running"})
    decision = "refund"
    step = {"run_id": run_id, "step_id": "1", "name": "decide", "kind": "model", "status": "ok"}
    await send("steps", run_id, {**step, "input_tokens": 420, "output_tokens": 12, "cost_usd": 0.0009})
    wait = {
        "run_id": run_id,
        "agent": "refunds",
        "name": "satisfied",
        "subject": f"order:{order}",
        "since": run["started_at"],
        "rule": {
            "on": {"order.complaint": {"score": False}, "order.praised": {"score": True}},
            "within": "P30D",
            "else": True,
        },
    }
    await send("waits", wait["subject"], wait)
    await send("scores", run_id, {"run_id": run_id, "name": "refunded", "value": decision == "refund"})
    await send("runs", run_id, {**run, "status": "completed", "ended_at": now()})
    return run_id


def now() -> str:
    """The time as events have it: RFC 3339 with an offset."""
    return datetime.now(UTC).isoformat()


async def main(orders: list[str]) -> None:
    """Decide on some orders; the first customer complains."""
    async with AIOKafkaProducer(bootstrap_servers=KAFKA) as producer:

        async def send(topic: str, key: str, event: dict[str, Any]) -> None:
            await producer.send_and_wait(f"upshot.{topic}", json.dumps(event).encode(), key=key.encode())

        for order in orders:
            print(order, await handle(order, send))
        subject = f"order:{orders[0]}"
        await send("outcomes", subject, {"type": "order.complaint", "subject": subject, "data": {"stars": 1}})


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:] or ["A1", "A2"]))
