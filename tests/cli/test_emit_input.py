"""What `upshot emit` makes of its input, before anything is sent."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from upshot.cli.app import app
from upshot.streams.events.checking import check_all
from upshot.streams.events.reading import key_of, read_events
from upshot.streams.events.topics import TOPICS

EXAMPLES = Path(__file__).parents[2] / "schemas" / "examples"
OUTCOME = {"type": "pr.closed", "subject": "pr:1", "data": {"merged": True}}


@pytest.mark.parametrize(
    ("text", "places"),
    [
        (json.dumps(OUTCOME), ["the event"]),
        (json.dumps(OUTCOME, indent=2), ["the event"]),
        ("\ufeff" + json.dumps(OUTCOME), ["the event"]),
        (json.dumps([OUTCOME, OUTCOME]), ["item 1", "item 2"]),
        (json.dumps([OUTCOME], indent=2), ["item 1"]),
        (f"{json.dumps(OUTCOME)}\r\n\r\n{json.dumps(OUTCOME)}", ["line 1", "line 3"]),
        (f"\n{json.dumps(OUTCOME)}\n{json.dumps(OUTCOME)}", ["line 2", "line 3"]),
        (f" [ {json.dumps(OUTCOME, indent=1)} ,\n{json.dumps(OUTCOME)}]", ["item 1", "item 2"]),
        ("", []),
        ("\n  \n", []),
        ("[]", []),
    ],
)
def test_each_way_to_write_events_down(text: str, places: list[str]) -> None:
    events = read_events(text.encode())
    assert [event.where for event in events] == places
    assert all(json.loads(event.value) == OUTCOME for event in events)
    assert check_all(TOPICS["outcomes"], events)[1] == []


def test_each_wrong_line_is_named_with_its_reason() -> None:
    text = (
        b'{"type":"a","subject":"s"}\nnonsense\n{"type":"a"}\n\n[1]\n{"type":"a","subject":"s","time":"now"}'
    )
    wrong = check_all(TOPICS["outcomes"], read_events(text))[1]
    assert [(line.where, line.reason) for line in wrong] == [
        ("line 2", "not_json"),
        ("line 3", "no_subject"),
        ("line 5", "not_an_object"),
        ("line 6", "invalid_value"),
    ]


@pytest.mark.parametrize(
    ("topic", "event", "reason"),
    [
        ("runs", {"agent": "a"}, "missing_field"),
        ("steps", {"run_id": "r", "step_id": "s", "name": 5}, "wrong_type"),
        ("scores", {"run_id": "r", "name": "n"}, "wrong_type"),
        (
            "waits",
            {"run_id": "r", "name": "n", "subject": "s", "rule": {"on": {}, "within": "P1D"}},
            "invalid_rule",
        ),
        (
            "exposures",
            {"run_id": "r", "experiment": "e", "variant": "v", "probability": 0},
            "invalid_value",
        ),
    ],
)
def test_every_topic_is_checked_by_its_own_schema(topic: str, event: dict[str, object], reason: str) -> None:
    wrong = check_all(TOPICS[topic], read_events(json.dumps(event).encode()))[1]
    assert [line.reason for line in wrong] == [reason]


@pytest.mark.parametrize(
    ("event", "key"),
    [(b'{"run_id":"r1"}', "r1"), (b'{"run_id":7}', "7"), (b"{}", None), (b"[]", None), (b"no", None)],
)
def test_the_key_is_taken_from_its_field(event: bytes, key: str | None) -> None:
    assert key_of(event, "run_id") == key


@pytest.mark.parametrize(
    ("arguments", "text", "code", "said"),
    [
        (["nowhere"], "{}", 2, "there is no topic 'nowhere'"),
        (["outcomes", "absent.jsonl"], "", 2, "absent.jsonl"),
        (["outcome", "--type", "a", "--subject", "s", "--data", "{"], "", 2, "--data is no JSON"),
        (["runs", "--type", "a"], "", 2, "--type describes one outcome"),
        (["outcome", "--type", "a"], "", 1, "the event: no_subject"),
        (["outcome", "--type", "a", "--subject", "s", "--data", "NaN"], "", 1, "not_finite"),
        (["outcomes"], '{"type":"a","subject":"s"}\n{"type":"a"}', 1, "1 of 2 events are wrong"),
    ],
)
def test_wrong_input_is_refused_before_anything_is_sent(
    arguments: list[str], text: str, code: int, said: str
) -> None:
    # Nothing listens at this address: had anything been sent, the exit code would be another one.
    done = CliRunner().invoke(app, ["emit", *arguments], input=text, env={"UPSHOT_KAFKA_URL": "127.0.0.1:1"})
    assert (done.exit_code, done.stdout) == (code, "")
    assert said in " ".join(done.stderr.replace("│", "").split())


def test_a_broker_that_is_away_is_one_line_and_its_own_exit_code() -> None:
    short = ["emit", "outcome", "--type", "a", "--subject", "s"]
    done = CliRunner().invoke(app, short, env={"UPSHOT_KAFKA_URL": "127.0.0.1:1"})
    assert done.exit_code == 69
    assert done.stderr.startswith("upshot: no Kafka broker answers at 127.0.0.1:1")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("topic", ["runs", "outcomes", "waits", "scores", "exposures"])
def test_a_checked_event_goes_out_with_the_key_that_its_field_has(topic: str) -> None:
    for path in sorted((EXAMPLES / topic).glob("*.json")):
        [sent], wrong = check_all(TOPICS[topic], read_events(path.read_bytes()))
        assert not wrong
        assert (sent.topic, sent.key) == (topic, key_of(sent.value, TOPICS[topic].key))
