"""Experiments in the load: exposures of half the runs, and whether every score shows the variants of its run.

The right answer is known by construction: a score has exactly the exposures of its run, in whatever order
these and the run's waits and outcomes came, and however often any of them was sent.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from random import Random
from typing import TYPE_CHECKING, Any

import clickhouse_connect

from benchmarks.chaos.cases import Message

if TYPE_CHECKING:
    from benchmarks.chaos.cases import Case
    from upshot.settings import Settings

#: Of the runs so many are exposed, so many of these to a second experiment, or to a second variant.
_EXPOSED, _TWICE, _BOTH, _REPEATED = 0.5, 0.3, 0.1, 0.2
ARMS = {"tone": {"plain": 0.5, "warm": 0.5}, "model": {"small": 0.9, "large": 0.1}}
_SQL = "SELECT run_id, score_id, exposures FROM current_scores"

#: Experiment, variant, phase and probability.
Exposed = tuple[str, str, str, float]


def with_exposures(made: Iterable[Case], seed: int) -> Iterator[Case]:
    """The cases; exposures lie among the messages of half of them, at random places."""
    random = Random(f"exposures {seed}")
    for case in made:
        if random.random() < _EXPOSED:
            for experiment in random.sample(list(ARMS), 1 + (random.random() < _TWICE)):
                _expose(case, experiment, random)
        yield case


def _expose(case: Case, experiment: str, random: Random) -> None:
    arms = ARMS[experiment]
    chosen = list(arms) if random.random() < _BOTH else random.choices(list(arms), list(arms.values()))
    for variant in chosen:
        at = case.now + timedelta(milliseconds=random.randint(0, 900))
        event = {
            "run_id": case.run_id, "experiment": experiment, "variant": variant, "phase": "1",
            "probability": arms[variant], "strategy": "weighted", "exposed_at": at.isoformat(),
        }  # fmt: skip
        message = Message("exposures", case.run_id, json.dumps(event).encode())
        for _ in range(1 + (random.random() < _REPEATED)):
            case.messages.insert(random.randint(0, len(case.messages)), message)


def truth_of_runs(cases: Iterable[Case]) -> dict[str, list[Exposed]]:
    """The exposures of each sent run."""
    found: dict[str, set[Exposed]] = {}
    for case in cases:
        events = [json.loads(one.value or b"") for one in case.messages if one.topic == "exposures"]
        found[case.run_id] = {
            (event["experiment"], event["variant"], event["phase"], event["probability"]) for event in events
        }
    return {run: sorted(exposures) for run, exposures in found.items()}


def misattributed(truth: Mapping[str, list[Exposed]], rows: Iterable[tuple[str, str, Any]]) -> list[str]:
    """The scores that show other exposures than those of their run."""
    return [
        f"score {score_id} of {run_id}: exposures {shown}, not {truth[run_id]}"
        for run_id, score_id, exposures in rows
        if run_id in truth and (shown := sorted(map(_plain, exposures))) != truth[run_id]
    ]


def attributed(settings: Settings, cases: Iterable[Case]) -> tuple[list[str], int]:
    """The wrongly attributed scores that ClickHouse shows, and the number of scores with exposures.

    Raises what clickhouse-connect raises where the server doesn't answer.
    """
    client = clickhouse_connect.get_client(
        dsn=settings.clickhouse_url.get_secret_value(), send_receive_timeout=60
    )
    try:
        rows = list(client.query(_SQL).result_rows)
    finally:
        client.close()
    return misattributed(truth_of_runs(cases), rows), sum(1 for row in rows if row[2])


def _plain(exposure: Any) -> Exposed:
    values = exposure.values() if isinstance(exposure, dict) else exposure
    experiment, variant, phase, probability = values
    return str(experiment), str(variant), str(phase), float(probability)


__all__ = ["ARMS", "attributed", "misattributed", "truth_of_runs", "with_exposures"]
