"""The commands against a whole running system."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.upshot_process import WholeStack, clean_environment, upshot

pytestmark = pytest.mark.stack

RULE = {"on": {"pr.closed": {"score": "data.merged"}}, "within": "P14D"}


def lines(*events: dict[str, object]) -> str:
    return "".join(json.dumps(event) + "\n" for event in events)


def test_up_says_where_everything_is(stack: WholeStack) -> None:
    said = (stack.data_dir / "said.txt").read_text()
    assert f"127.0.0.1:{stack.ports['kafka']}" in said
    assert f"http://127.0.0.1:{stack.ports['clickhouse']}" in said
    assert f"http://127.0.0.1:{stack.ports['web']}" in said
    assert "\x1b" not in said


def test_from_emit_to_query_and_pending(stack: WholeStack) -> None:
    runs = [{"run_id": f"walk-{n}", "agent": "walker", "status": "completed"} for n in (1, 2)]
    waits = [
        {"run_id": f"walk-{n}", "name": "walked", "subject": f"walk:{n}", "rule": RULE, "agent": "walker"}
        for n in (1, 2)
    ]
    sent = stack.upshot("emit", "run", "-", text=json.dumps(runs))
    assert (sent.returncode, sent.stdout) == (0, "2 events sent to upshot.runs\n"), sent.stderr
    sent = stack.upshot("emit", "waits", text=lines(*waits))
    assert sent.stdout == "2 events sent to upshot.waits\n", sent.stderr
    short = ("--type", "pr.closed", "--subject", "walk:1", "--data", '{"merged":true}')
    sent = stack.upshot("emit", "outcome", *short, "--json")
    assert json.loads(sent.stdout) == {"topic": "upshot.outcomes", "sent": 1}, sent.stderr

    asked = "SELECT run_id, value, kind, agent FROM current_scores WHERE agent = 'walker'"
    stack.eventually(asked, [{"run_id": "walk-1", "value": 1, "kind": "boolean", "agent": "walker"}])
    stack.eventually("SELECT run_id FROM pending WHERE agent = 'walker'", [{"run_id": "walk-2"}])

    open_waits = json.loads(stack.upshot("pending", "--json", "--subject", "walk:2").stdout)
    assert [(wait["name"], wait["overdue"]) for wait in open_waits] == [("walked", False)]
    table = stack.upshot("pending", "--subject", "walk:2")
    assert "walk-2" in table.stdout
    assert "1 pending" in table.stderr
    none = stack.upshot("pending", "--subject", "walk:1")
    assert none.stdout == "nothing is pending\n"
    assert stack.upshot("pending", "--overdue", "--subject", "walk:2", "--json").stdout == "[]\n"


def test_a_score_from_a_terminal(stack: WholeStack) -> None:
    given = stack.upshot("score", "typed-1", "liked", "true", "--comment", "it is", "--source", "me")
    assert (given.returncode, given.stdout) == (0, "liked = true of typed-1 sent to upshot.scores\n")
    assert stack.upshot("score", "typed-1", "change", "0.5", "--json").returncode == 0
    stack.eventually(
        "SELECT name, value, kind FROM current_scores WHERE run_id = 'typed-1' ORDER BY name",
        [
            {"name": "change", "value": 0.5, "kind": "number"},
            {"name": "liked", "value": 1, "kind": "boolean"},
        ],
    )
    for wrong in ("yes", "nan", "1e999"):
        refused = stack.upshot("score", "typed-1", "liked", wrong)
        assert (refused.returncode, "nothing was sent" in refused.stderr) == (2, True)


def test_an_answer_in_every_format(stack: WholeStack) -> None:
    wide = "x" * 300
    sql = f"SELECT 1 AS number, 'a,\"b' AS text, NULL AS nothing, '{wide}' AS wide"
    table = stack.upshot("query", sql)
    head, row = table.stdout.splitlines()
    assert head.split() == ["number", "text", "nothing", "wide"]
    assert row.endswith(wide), "a table that isn't for a terminal is cut"
    wanted = {"number": 1, "text": 'a,"b', "nothing": None, "wide": wide}
    assert json.loads(stack.upshot("query", "--format", "json", sql).stdout) == [wanted]
    assert json.loads(stack.upshot("query", "--json", sql).stdout) == [wanted]
    assert json.loads(stack.upshot("query", "--format", "jsonl", sql).stdout) == wanted
    [names, values] = csv.reader(io.StringIO(stack.upshot("query", "--format", "csv", sql).stdout))
    assert (names, values[:2]) == (["number", "text", "nothing", "wide"], ["1", 'a,"b'])
    piped = stack.upshot("query", "-", text="SELECT 7 AS seven")
    assert piped.stdout.split() == ["seven", "7"]


def test_an_arrow_stream_is_one(stack: WholeStack) -> None:
    command = [
        sys.executable,
        "-m",
        "upshot.cli",
        "query",
        "--format",
        "arrow",
        "SELECT number FROM numbers(3)",
    ]
    done = subprocess.run(
        [*command, "--data-dir", str(stack.data_dir)],
        capture_output=True,
        env=clean_environment(),
        check=True,
    )
    assert done.stdout[:4] == b"\xff\xff\xff\xff"
    assert b"number" in done.stdout


def test_what_an_event_says_cannot_steer_the_terminal(stack: WholeStack) -> None:
    done = stack.upshot("query", "SELECT 'a\\x1b[31mb\\nc[bold]' AS text")
    assert done.stdout.splitlines()[1] == "a\\x1b[31mb\\nc[bold]"


def test_named_questions(stack: WholeStack) -> None:
    listed = json.loads(stack.upshot("query", "--list", "--json").stdout)
    assert "scores-by-agent" in {question["name"] for question in listed}
    assert "scores-by-agent" in stack.upshot("query", "--list").stdout
    for question in listed:
        done = stack.upshot("query", "--json", "--question", question["name"])
        assert done.returncode == 0, done.stderr
        assert isinstance(json.loads(done.stdout), list)
    chosen = stack.upshot("query", "--question", "latest-scores", "--param", "limit=1", "--format", "jsonl")
    assert len(chosen.stdout.splitlines()) <= 1


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["query", "SELECT nothing FROM runs"], 1, "ClickHouse refused the query"),
        (["query", "--format", "csv", "SELECT nothing FROM runs"], 1, "ClickHouse refused the query"),
        (["query", "DROP VIEW runs"], 1, "ClickHouse refused the query"),
        (["query", "INSERT INTO raw_runs (run_id) VALUES ('x')"], 1, "ClickHouse refused the query"),
        (["query", "SELECT * FROM file('/etc/hosts', 'LineAsString')"], 1, "ClickHouse refused the query"),
        (["query"], 2, "no query was run"),
        (["query", "SELECT 1", "--question", "latency"], 2, "no query was run"),
        (["query", "--question", "nonsense"], 2, "there is no named query 'nonsense'"),
        (["query", "--question", "latency", "--param", "x=1"], 2, "has no parameter x"),
        (["query", "--question", "latest-scores", "--param", "limit"], 2, "is not NAME=VALUE"),
        (["query", "--question", "latest-scores", "--param", "limit=many"], 1, "refused the query"),
    ],
)
def test_refused_queries(stack: WholeStack, arguments: list[str], code: int, said: str) -> None:
    done = stack.upshot(*arguments)
    assert (done.returncode, done.stdout) == (code, "")
    assert said in done.stderr
    assert done.stderr.startswith("upshot: ")
    assert "Traceback" not in done.stderr


def test_migrate_again_changes_nothing(stack: WholeStack) -> None:
    done = stack.upshot("migrate")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("topics: all there\ntables: current (")
    told = json.loads(stack.upshot("migrate", "--json").stdout)
    assert (told["topics_created"], told["migrations_applied"]) == ([], [])


def test_a_key_field_and_events_that_are_wrong_on_purpose(stack: WholeStack) -> None:
    event = {"run_id": "keyed", "name": "n", "value": 1, "comment": "other-key"}
    sent = stack.upshot("emit", "scores", "--key-field", "comment", text=lines(event))
    assert sent.returncode == 0, sent.stderr
    stack.eventually(
        "SELECT run_id, run_known FROM current_scores WHERE run_id = 'keyed'",
        [{"run_id": "keyed", "run_known": False}],
    )
    refused = stack.upshot("emit", "outcomes", text="not json at all\n")
    assert (refused.returncode, refused.stdout) == (1, "")
    sent = stack.upshot("emit", "outcomes", "--no-validate", text="not json at all\n")
    assert sent.returncode == 0, sent.stderr
    stack.eventually(
        "SELECT reason, payload FROM dead_letters WHERE payload = 'not json at all'",
        [{"reason": "not_json", "payload": "not json at all"}],
    )


def test_a_topic_that_is_missing_is_told(stack: WholeStack) -> None:
    done = upshot(
        "emit",
        "outcome",
        "--type=a",
        "--subject=b",
        environment={
            "UPSHOT_KAFKA_URL": stack.settings.kafka_url,
            "UPSHOT_TOPIC_PREFIX": "absent.",
            "UPSHOT_DATA_DIR": "nowhere",
        },
    )
    assert done.returncode == 2
    assert "topic absent.outcomes is not there" in done.stderr


def test_a_pipe_that_closes_is_no_trace(stack: WholeStack) -> None:
    command = (
        f"{sys.executable} -m upshot.cli query 'SELECT * FROM numbers(2000000)' --format csv --data-dir "
        f"{stack.data_dir}"
    )
    done = subprocess.run(
        ["bash", "-c", f"{command} | head -1"], capture_output=True, text=True, env=clean_environment()
    )
    assert (done.stdout.strip(), done.stderr) == ('"number"', "")


def test_a_stack_that_does_not_run_is_told(tmp_path: Path) -> None:
    for command in (["query", "SELECT 1"], ["pending"], ["migrate"], ["emit", "outcome", "--type=a"]):
        done = upshot(*command, "--data-dir", str(tmp_path))
        assert done.returncode == 69
        assert done.stderr.startswith(f"upshot: no stack runs in {tmp_path}")
