"""Events for the pages: runs with steps, waits in every state, scores, an experiment, hostile texts."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

Event = dict[str, Any]

HOSTILE = (
    "<script>document.title='taken'</script><img src=x onerror=\"document.title='taken'\">",
    "\u202egnp.exe\u2066\u200b\u2028\x9b31m",
    "\x1b[31mred\x1b[0m\x1b]0;TITLE\x07",
    "{{7*7}}${7*7}#{7*7}",
    "'; DROP TABLE raw_runs; --",
    "../../etc/passwd",
    "javascript:alert(1)",
    "a\tb\\N\"'`",
    "x" * 200,
    "\U0001f600" * 40,
    "\u05e9\u05dc\u05d5\u05dd " * 39 + "\u200f\u202b",
)
_MERGED = {"on": {"pr.closed": {"score": "data.merged"}}, "within": "P14D"}
RUNS = 24


def post(port: int, topic: str, events: Iterable[Event]) -> None:
    """Send events over HTTP. Raises where one is refused."""
    body = "\n".join(json.dumps(event) for event in events).encode()
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/v1/{topic}", body, {"Content-Type": "application/x-ndjson"}
    )
    with urllib.request.urlopen(request, timeout=60) as response:
        assert response.status == 202


def play(port: int) -> None:
    """Send the whole story."""
    now = datetime.now(UTC)
    for topic, events in _usual(now).items():
        post(port, topic, events)
    for topic, events in _hostile(now).items():
        post(port, topic, events)


def _usual(now: datetime) -> dict[str, list[Event]]:
    story: dict[str, list[Event]] = {
        "runs": [],
        "steps": [],
        "exposures": [],
        "waits": [],
        "outcomes": [],
        "scores": [],
    }
    for number in range(RUNS):
        run, start = f"run-{number:03d}", now - timedelta(days=9, hours=number)
        end = start + timedelta(seconds=9)
        facts = {"tier": "pro" if number % 2 else "free"}
        story["runs"].append(
            {
                "run_id": run,
                "agent": "writer",
                "version": "1.2",
                "status": "completed",
                "started_at": start.isoformat(),
                "ended_at": end.isoformat(),
                "attributes": facts,
                "input": "the task",
                "output": "the answer",
            }
        )
        story["steps"] += _steps(run, start)
        variant = "warm" if number % 2 else "plain"
        story["exposures"].append(
            {
                "run_id": run,
                "experiment": "tone",
                "variant": variant,
                "phase": "1",
                "probability": 0.5,
                "exposed_at": start.isoformat(),
            }
        )
        story["waits"].append(
            {
                "run_id": run,
                "agent": "writer",
                "name": "merged",
                "subject": f"pr:{number}",
                "rule": _MERGED,
                "opened_at": end.isoformat(),
                "since": start.isoformat(),
            }
        )
        if number % 4:
            story["outcomes"].append(
                {
                    "type": "pr.closed",
                    "subject": f"pr:{number}",
                    "id": f"o-{number}",
                    "time": (end + timedelta(hours=number)).isoformat(),
                    "data": {"merged": number % 3 != 0},
                }
            )
        story["scores"].append({"run_id": run, "name": "judge", "value": number / RUNS, "source": "a judge"})
    story["outcomes"].append({"type": "pr.viewed", "subject": "pr:4", "id": "view"})
    return story


def _steps(run: str, start: datetime) -> list[Event]:
    names = (
        ("answer", "agent", None, 0, 9),
        ("plan", "model", "s0", 0, 2),
        ("search", "tool", "s0", 2, 4),
        ("draft", "model", "s0", 4, 9),
    )
    return [
        {
            "run_id": run,
            "step_id": f"s{place}",
            "name": name,
            "kind": kind,
            "parent_step_id": parent,
            "status": "ok",
            "started_at": (start + timedelta(seconds=begin)).isoformat(),
            "ended_at": (start + timedelta(seconds=end)).isoformat(),
        }
        | (
            {
                "model": "a-model",
                "input_tokens": 900,
                "output_tokens": 80,
                "cost_usd": 0.004,
                "input": "in " * 50,
                "output": "o" * 100_000,
            }
            if kind == "model"
            else {}
        )
        for place, (name, kind, parent, begin, end) in enumerate(names)
    ]


def _hostile(now: datetime) -> dict[str, list[Event]]:
    topics = ("runs", "steps", "waits", "outcomes", "scores", "exposures", "experiments")
    story: dict[str, list[Event]] = {topic: [] for topic in topics}
    for place, text in enumerate(HOSTILE):
        run = f"h{place} {text}"
        story["runs"].append(
            {
                "run_id": run,
                "agent": text,
                "version": text,
                "status": "failed",
                "error": text,
                "session_id": text,
                "started_at": now.isoformat(),
                "attributes": {text: text},
            }
        )
        story["steps"].append(
            {
                "run_id": run,
                "step_id": text,
                "name": text,
                "kind": text,
                "error": text,
                "output": text,
                "model": text,
                "attributes": {text: text},
            }
        )
        story["waits"].append(
            {"run_id": run, "agent": text, "name": text, "subject": "s:" + text, "rule": _MERGED}
        )
        story["outcomes"].append(
            {"type": text, "subject": "s:" + text, "id": f"h{place}", "source": text, "data": {"t": text}}
        )
        story["scores"].append(
            {
                "run_id": run,
                "name": f"g{place} {text[:190]}",
                "value": place / 3,
                "comment": text,
                "source": text,
                "agent": text,
            }
        )
        variant, name = f"v {text[:190]}", f"e{place} {text[:190]}"
        story["exposures"].append(
            {"run_id": run, "experiment": name, "variant": variant, "probability": 0.5, "unit": text}
        )
        story["experiments"].append(
            {
                "experiment": name,
                "variants": {variant: 1, text[:200]: 1},
                "control": variant,
                "metrics": [{"name": text[:200]}, {"name": f"g{place} {text[:190]}", "kind": "mean"}],
                "reason": text,
                "changed_at": now.isoformat(),
            }
        )
    return story


__all__ = ["HOSTILE", "RUNS", "play", "post"]
