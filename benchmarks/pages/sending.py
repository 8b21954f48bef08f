"""Runs with many large steps, sent over HTTP."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from datetime import UTC, datetime, timedelta
from typing import Any

#: Bytes of one request with steps; seconds that rows may take to be readable.
_REQUEST, _STORED = 2_000_000, 300.0
_START = datetime(2026, 6, 1, tzinfo=UTC)


def post(base: str, topic: str, events: list[dict[str, Any]]) -> None:
    """Send events. Raises where one is refused."""
    body = "\n".join(json.dumps(event) for event in events).encode()
    request = urllib.request.Request(f"{base}/v1/{topic}", body, {"Content-Type": "application/x-ndjson"})
    urllib.request.urlopen(request, timeout=120).close()


def large_run(base: str, run_id: str, steps: int, payload: int) -> None:
    """Send a run whose every step has an output of so many characters."""
    run = {"run_id": run_id, "agent": "bench", "status": "completed", "started_at": _START.isoformat(),
           "ended_at": (_START + timedelta(seconds=steps)).isoformat()}  # fmt: skip
    post(base, "runs", [run])
    output = ("The quick brown fox jumps over the lazy dog. " * (payload // 45 + 1))[:payload]
    batch: list[dict[str, Any]] = []
    for number in range(steps):
        batch.append(_step(run_id, number, output))
        if len(batch) * (payload + 400) > _REQUEST or number == steps - 1:
            post(base, "steps", batch)
            batch.clear()


def _step(run_id: str, number: int, output: str) -> dict[str, Any]:
    begun = _START + timedelta(seconds=number)
    return {
        "run_id": run_id,
        "step_id": f"s{number}",
        "name": f"step {number}",
        "kind": "tool" if number % 2 else "model",
        "status": "ok",
        "parent_step_id": f"s{number - number % 10}" if number % 10 else None,
        "started_at": begun.isoformat(),
        "ended_at": (begun + timedelta(seconds=1)).isoformat(),
        "output": output,
    }


def wait_for_steps(base: str, run_id: str, steps: int) -> None:
    """Return once all steps of the run are readable."""
    give_up = time.monotonic() + _STORED
    while time.monotonic() < give_up:
        if steps_of(base, run_id) >= steps:
            return
        time.sleep(1)
    raise SystemExit("the steps were not stored in time; look at the logs of the store")


def steps_of(base: str, run_id: str) -> int:
    """How many steps of the run are readable."""
    try:
        with urllib.request.urlopen(f"{base}/runs/{run_id}.json", timeout=60) as answer:
            found = json.load(answer)
    except urllib.error.HTTPError:
        return 0
    return int((found.get("totals") or {}).get("steps") or 0)


__all__ = ["large_run", "post", "steps_of", "wait_for_steps"]
