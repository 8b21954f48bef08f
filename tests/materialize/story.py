"""Events whose order, repetition and partition could matter for the rows: told by several producers."""

from __future__ import annotations

from typing import Any

from tests.store.conftest import NOON, Written, record
from tests.store.story import INSTANT, LATER, decided, story, wait

#: Rules of these waits leave them open to revisions, far in the future.
FAR = "2096-01-01T00:00:00Z"
LAST = {"on": {"pr.closed": {"score": "data.merged"}}, "within": "P14D", "mode": "last"}
CARRIED: dict[str, Any] = {"experiment": "tone", "variant": "warm", "phase": "2", "probability": 0.5}


def long_story() -> list[Written]:
    """The story of the store's tests, and what only rows for reading could get wrong."""
    moving = [
        record(
            "runs",
            {
                "run_id": "moves",
                "agent": "m",
                "started_at": f"2026-0{month}-01T00:00:00Z",
                "occurred_at": INSTANT.format(month),
                "attributes": {"visits": 10 * month},
            },
        )
        for month in (1, 3, 2)
    ]
    equal = [
        record("runs", {"run_id": "moves", "occurred_at": INSTANT.format(5), "attributes": {"model": model}})
        for model in ("gpt-4", "gpt-5")
    ]
    shared = [
        wait("both", run_id=run, subject="pr:9", opened_at=INSTANT.format(day), rule=LAST)
        for run, day in (("first", 2), ("second", 1))
    ]
    others = [
        wait("carries", run_id="carrier", subject="pr:3", opened_at=INSTANT.format(4), exposures=[CARRIED]),
        record(
            "scores",
            {
                "run_id": "carrier",
                "name": "judged",
                "value": 0.25,
                "decided_at": INSTANT.format(3),
                "exposures": [CARRIED | {"variant": "cold"}],
            },
        ),
        record(
            "exposures",
            {"run_id": "moves", "experiment": "tone", "variant": "warm", "exposed_at": INSTANT.format(2)},
        ),
        record(
            "scores", {"run_id": "moves", "name": "judged", "value": 0.5, "decided_at": INSTANT.format(2)}
        ),
        record(
            "scores",
            {
                "run_id": "carrier",
                "name": "judged",
                "value": True,
                "key": "k",
                "decided_at": INSTANT.format(6),
            },
        ),
        record(
            "scores",
            {
                "run_id": "moves",
                "name": "judged",
                "value": False,
                "key": "k",
                "decided_at": INSTANT.format(1),
            },
        ),
        decided(1, True, score_id="s-both", run_id="second", subject="pr:9", wait_id="both"),
        wait("open", run_id="moves", subject="pr:4", opened_at=FAR, rule=LAST),
        decided(1, True, score_id="s-open", run_id="moves", subject="pr:4", wait_id="open", decided_at=FAR),
        decided(1, True, score_id="s-again", run_id="moves", subject="pr:5", wait_id="again"),
        decided(
            2, None, score_id="s-again", run_id="moves", subject="pr:5", wait_id="again", reason="reopened"
        ),
        wait("again", run_id="moves", subject="pr:5", opened_at=INSTANT.format(1)),
        wait(
            "again",
            run_id="moves",
            subject="pr:5",
            opened_at=INSTANT.format(2),
            rule=LAST | {"within": "P3D"},
        ),
        record(
            "runs",
            {
                "run_id": "trace",
                "status": "completed",
                "ended_at": INSTANT.format(7),
                "attributes": {"upshot.known_as": "moves"},
            },
        ),
        record(
            "steps",
            {
                "run_id": "trace",
                "step_id": "t1",
                "name": "chat",
                "kind": "model",
                "model": "gpt-5",
                "input_tokens": 7,
                "output_tokens": 3,
                "cost_usd": 0.5,
                "ended_at": INSTANT.format(7),
            },
        ),
        record(
            "steps",
            {
                "run_id": "moves",
                "step_id": "t2",
                "name": "chat",
                "kind": "model",
                "model": "gpt-4",
                "status": "error",
                "input_tokens": 2,
                "ended_at": INSTANT.format(7),
            },
        ),
        record("scores", {"run_id": "trace", "name": "early", "value": 1.5, "decided_at": INSTANT.format(2)}),
    ]
    told = [*story(), *moving, *equal, *shared, *others]
    return [
        record(
            written.topic.removeprefix("upshot."),
            written.value,
            offset=n,
            timestamp=LATER + n if written.topic.endswith("waits") else NOON + n,
        )
        for n, written in enumerate(told)
    ]


__all__ = ["long_story"]
