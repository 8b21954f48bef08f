"""The benchmark of the join: its events have the answers that it says, and its check finds what is wrong."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, NamedTuple

import pytest

from upshot.processors.correlate.decide import step
from upshot.processors.correlate.facts import OutcomeReceived, ScoreRevised, WaitReceived
from upshot.processors.correlate.state import as_stored_outcome, as_stored_wait
from upshot.schemas.outcomes import Outcome
from upshot.schemas.waits import Wait
from upshot.streams.events.decode import read_outcome, read_wait
from upshot.streams.events.instants import micros

JOIN = Path(__file__).parents[2] / "benchmarks" / "join"
NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
COUNT = 4_000


def _module(file: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location("join_" + Path(file).stem, JOIN / file)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Record(NamedTuple):
    """A record as the codec reads it."""

    topic: str
    offset: int
    key: bytes
    value: bytes
    timestamp: int
    partition: int = 0
    headers: Sequence[tuple[str, bytes]] = ()


events, verdict, plain = _module("events.py"), _module("verdict.py"), _module("peers/plain.py")


@pytest.fixture(scope="module")
def made() -> Any:
    return events.make_events(COUNT, seed=1, now=NOW)


def test_a_seed_makes_the_same_events(made: Any) -> None:
    assert events.make_events(COUNT, seed=1, now=NOW) == made
    assert events.make_events(COUNT, seed=2, now=NOW) != made


def test_the_events_are_as_described(made: Any) -> None:
    assert made.count == COUNT and len(made.waits) == len(made.outcomes)
    repeated = COUNT - len({message.value for message in (*made.waits, *made.outcomes)})
    assert repeated == COUNT // events.REPEATED
    places = [{message.key: n for n, message in reversed([*enumerate(topic)])} for topic in made[:2]]
    both = places[0].keys() & places[1].keys()
    assert len(both) == len(made.truth)
    early = sum(places[1][key] < places[0][key] for key in both) / len(both)
    assert 0.45 < early < 0.55
    assert 270 < made.mean_bytes < 330
    assert len(places[0].keys() | places[1].keys()) == made.subjects


def test_the_events_keep_the_contract(made: Any) -> None:
    for topic, model in ((made.waits, Wait), (made.outcomes, Outcome)):
        for message in topic[:200]:
            assert model.model_validate_json(message.value).subject.encode() == message.key


@pytest.mark.parametrize("turn", [lambda told: told, lambda told: told[::-1]], ids=["in order", "backwards"])
def test_the_truth_is_what_the_core_decides(made: Any, turn: Callable[[list[Any]], list[Any]]) -> None:
    told: list[WaitReceived | OutcomeReceived] = []
    for place, (asked, observed) in enumerate(zip(made.waits, made.outcomes, strict=True)):
        wait = read_wait(Record("waits", place, *asked))
        told.append(WaitReceived(wait.subject, as_stored_wait(wait)))
        outcome = read_outcome(Record("outcomes", place, *observed))
        told.append(OutcomeReceived(outcome.subject, as_stored_outcome(outcome, micros(NOW), 0, place)))
    facts = step({}, turn(told), micros(NOW)).facts
    scores = {
        fact.wait.run_id: fact.revision.verdict.value for fact in facts if isinstance(fact, ScoreRevised)
    }
    assert scores == made.truth


def test_the_peers_join_gives_the_truth_once(made: Any) -> None:
    states: dict[bytes, Any] = {}
    scores = []
    for messages in zip(made.outcomes, made.waits, strict=True):
        for message in messages:
            states[message.key], score = plain.join(states.get(message.key), json.loads(message.value))
            scores += [] if score is None else [json.dumps(score).encode()]
    found = verdict.compare(made.truth, scores)
    assert found.is_right and found.right == len(made.truth) and not found.repeated


def _score(run: str, value: bool, score_id: str = "s", revision: int = 1) -> bytes:
    return json.dumps({"run_id": run, "value": value, "score_id": score_id, "revision": revision}).encode()


RIGHT = [_score("a", True), _score("b", False)]


@pytest.mark.parametrize(
    ("scores", "wrong"),
    [
        (RIGHT, {}),
        (RIGHT[:1], {"missing": 1}),
        ([], {"missing": 2}),
        ([_score("a", False), RIGHT[1]], {"wrong": 1}),
        ([*RIGHT, _score("c", True)], {"invented": 1}),
        ([*RIGHT, _score("a", True, "other")], {"doubled": 1}),
        ([*RIGHT, _score("a", False)], {"wrong": 1, "doubled": 1}),
        ([_score("a", False), *RIGHT], {"doubled": 1}),
        ([_score("a", False), _score("a", True, revision=2), RIGHT[1]], {}),
        ([_score("a", True, revision=2), _score("a", False), RIGHT[1]], {}),
        ([*RIGHT, _score("a", False, revision=2)], {"wrong": 1}),
        ([*RIGHT, *RIGHT], {}),
    ],
    ids=[
        "right",
        "one is missing",
        "all are missing",
        "another value",
        "a run that has no score",
        "two scores",
        "contradicted",
        "contradicted, right in the end",
        "corrected by a revision",
        "an old revision comes late",
        "spoilt by a revision",
        "said again",
    ],
)
def test_the_check_finds_what_is_wrong(scores: list[bytes], wrong: dict[str, int]) -> None:
    found = verdict.compare({"a": True, "b": False}, scores)
    kinds = ("missing", "wrong", "doubled", "invented")
    assert {kind: count for kind in kinds if (count := getattr(found, kind))} == wrong
    assert found.is_right is not bool(wrong)
    assert ("WRONG" in str(found)) is bool(wrong)


def test_what_is_said_again_is_counted() -> None:
    assert verdict.compare({"a": True, "b": False}, [*RIGHT, *RIGHT, RIGHT[0]]).repeated == 3


def _measured(**given: Any) -> Any:
    return SimpleNamespace(
        **{
            "system": "upshot",
            "failure": "",
            "rate": 1.0,
            "cpu": 1.0,
            "broker_cpu": 1.0,
            "rss": 1.0,
            "events": 1,
        }
        | {"verdict": "right", "keys": None, "subjects": 1, "is_right": True}
        | given
    )


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (None, "{figures}"),
        ("# Title\n", "# Title\n{figures}"),
        ("a\n{begin}\nold\n{end}\nz\n", "a\n{figures}\nz\n"),
    ],
    ids=["a new page", "one without marks", "one with marks"],
)
def test_a_page_gets_the_figures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: str | None, after: str
) -> None:
    monkeypatch.syspath_prepend(JOIN)
    report = _module("report.py")
    page, marks = tmp_path / "page.md", {"begin": report.BEGIN, "end": report.END}
    if before is not None:
        page.write_text(before.format(**marks))
    report.write_page([{"upshot": _measured()}], {"events": 1}, tmp_path / "chart.svg", page)
    beginning, _, rest = page.read_text().partition(report.BEGIN)
    figures, _, end = rest.partition(report.END)
    assert f"{beginning}{{figures}}{end}" == after
    assert "chart.svg" in figures and "upshot" in figures


@pytest.mark.parametrize("option", ["--json", "--chart", "--page"])
@pytest.mark.parametrize("place", ["missing/file.svg", "."])
def test_what_cannot_be_written_is_said_before_anything_is_measured(
    tmp_path: Path, option: str, place: str
) -> None:
    given = {"--chart": str(tmp_path / "c.svg")} | {option: str(tmp_path / place)}
    command = [
        sys.executable,
        str(JOIN),
        "--only",
        "upshot",
        *(part for pair in given.items() for part in pair),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2 and "can't be written" in done.stderr, done.stderr
    assert not [*tmp_path.iterdir()]


def test_what_is_there_stays_until_it_is_written_anew(tmp_path: Path) -> None:
    unwritable = _module("outputs.py").unwritable
    page = tmp_path / "page.md"
    page.write_text("kept")
    assert not unwritable(page) and page.read_text() == "kept"
    assert not unwritable(tmp_path / "new.md") and [*tmp_path.iterdir()] == [page]


@pytest.mark.stack
def test_the_worker_and_a_peer_answer_right() -> None:
    command = [sys.executable, str(JOIN), "--events", "4000", "--rounds", "1"]
    done = subprocess.run(
        [*command, "--only", "upshot,aiokafka-batches"], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    assert done.stdout.count(" right") == 4, done.stdout
