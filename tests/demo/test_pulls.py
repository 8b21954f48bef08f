"""The demo's input: what it takes, what it refuses, and what it plans with it."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from upshot.demo.events import WITHIN
from upshot.demo.expected import Count, expected_of
from upshot.demo.plan import plan
from upshot.demo.pulls import COLUMNS, SHIPPED, read_pulls
from upshot.errors import ConfigurationError
from upshot.streams.events.records import decode, decode_outcome, decode_wait
from upshot.streams.events.topics import TOPICS

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
ROW = "7,Devin,Go,fix,closed,true,,1,2,3,4,5,6,7,8,9"
HEAD = ",".join(COLUMNS)


def write(tmp_path: Path, *lines: str, encoding: str = "utf-8") -> Path:
    file = tmp_path / "pulls.csv"
    file.write_text("\n".join(lines) + "\n", encoding=encoding)
    return file


def test_the_shipped_file_is_what_it_says_it_is() -> None:
    truth = expected_of(read_pulls(SHIPPED))
    for counts in (truth.agents, truth.languages):
        scored, merged, pending = map(sum, zip(*counts.values(), strict=True))
        assert (scored, merged, pending) == (2391, 1806, 380)
    assert truth.agents["Devin"] == Count(681, 481, 33)
    assert set(truth.agents) == {"Claude Code", "Cursor", "Devin", "GitHub Copilot", "OpenAI Codex"}


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ([], "is empty"),
        ([HEAD], "holds no pull request"),
        ([HEAD.replace(",merged,", ",was_merged,"), ROW], "lacks the column merged"),
        ([HEAD, ROW, "", ROW], "line 4: pr_id 7 already stands in line 2"),
        ([HEAD, ROW.replace("closed", "gone")], "line 2: state is 'gone': it must be open or closed"),
        ([HEAD, ROW.replace("true", "yes")], "line 2: merged is 'yes': it must be true or false"),
        ([HEAD, ROW.replace("closed", "open")], "line 2: it is open and merged at once"),
        ([HEAD, ROW.replace("7,Devin", ",Devin")], "line 2: pr_id is empty"),
        ([HEAD, ROW.replace("Devin", " ")], "line 2: agent is empty"),
        ([HEAD, ROW.replace(",9", ",-9")], "line 2: reviews_total is '-9': it must be a whole number"),
        ([HEAD, ROW.replace(",9", ",²")], "line 2: reviews_total is '²': it must be a whole number"),
        ([HEAD, ROW + ",1"], "line 2: 17 values stand under 16 columns"),
        ([HEAD, "7,Devin"], "line 2: 2 values stand under 16 columns"),
        ([HEAD, ROW.replace("true,", "true,yesterday")], "line 2: merged_at is 'yesterday', no time such as"),
        ([HEAD, ROW.replace("true,", "true,1025-01-01T00:00:00Z")], "outside the years 2000 to 2099"),
        ([HEAD, ROW.replace("true,", "false,2025-01-01T00:00:00Z")], "has a merged_at and was not merged"),
        ([HEAD, ROW.replace("Devin", "x" * 201)], "agent is longer than 200"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_with_its_line(
    tmp_path: Path, lines: list[str], said: str
) -> None:
    with pytest.raises(ConfigurationError) as refused:
        read_pulls(write(tmp_path, *lines))
    assert said in str(refused.value)
    assert str(refused.value).count("nothing was played") == 1


def test_files_that_are_no_csv_are_refused(tmp_path: Path) -> None:
    binary = tmp_path / "binary"
    binary.write_bytes(b"\xff\xfe\x00")
    for path in (binary, tmp_path / "absent", tmp_path):
        with pytest.raises(ConfigurationError, match=r"can.t be read|is not UTF-8 text"):
            read_pulls(path)


def test_other_spellings_are_taken(tmp_path: Path) -> None:
    columns = [*reversed(COLUMNS), "more"]
    values = dict(zip(COLUMNS, ROW.split(","), strict=True)) | {
        "more": "ignored",
        "agent": '"Agent, quoted"',
        "state": "CLOSED",
        "repo_language": "",
        "additions": "",
    }
    file = write(tmp_path, ",".join(columns), ",".join(values[c] for c in columns), encoding="utf-8-sig")
    [pull] = read_pulls(file)
    assert (pull.agent, pull.language, pull.merged, pull.counts["additions"]) == (
        "Agent, quoted",
        "",
        True,
        None,
    )


def test_the_plan_tells_the_file_and_keeps_its_times() -> None:
    pulls = read_pulls(SHIPPED)
    planned = plan(pulls, NOW, seed=1)
    assert planned == plan(pulls, NOW, seed=1)
    assert planned != plan(pulls, NOW, seed=2)
    sent = Counter(message.topic for message in planned.bulk)
    assert (sent["runs"], sent["waits"]) == (2771, 2771)
    assert planned.unique("outcomes") + len(planned.paced) == 2391
    assert sent["outcomes"] == planned.unique("outcomes") + planned.twice
    assert len(planned.paced) == 200
    assert min(planned.early, planned.twice) > 100

    outcomes = [json.loads(m.value) for m in planned.bulk if m.topic == "outcomes"]
    outcomes += [json.loads(paced.message.value) for paced in planned.paced]
    times = {event["id"].removesuffix("-closed"): event["time"] for event in outcomes}
    waits = [json.loads(message.value) for message in planned.bulk if message.topic == "waits"]
    opened = {event["subject"].removeprefix("pr:"): event["opened_at"] for event in waits}
    for pull in pulls:
        if pull.is_closed:
            closed = datetime.fromisoformat(times[pull.pr_id])
            assert pull.merged_at is None or closed == pull.merged_at
            assert datetime.fromisoformat(opened[pull.pr_id]) <= closed <= NOW
        else:
            assert NOW - datetime.fromisoformat(opened[pull.pr_id]) < min(WITHIN, timedelta(days=31))


def test_everything_planned_is_valid_by_the_contract() -> None:
    class Sent:
        def __init__(self, topic: str, key: bytes, value: bytes) -> None:
            self.topic, self.key, self.value = topic, key, value
            self.partition, self.offset, self.headers = 0, 0, ()
            self.timestamp = int(NOW.timestamp() * 1000)

    planned = plan(read_pulls(SHIPPED), NOW, seed=3)
    for message in [*planned.bulk, *(paced.message for paced in planned.paced)]:
        record = Sent(message.topic, message.key.encode(), message.value)
        if message.topic == "outcomes":
            assert decode_outcome(record).subject == message.key
        elif message.topic == "waits":
            assert decode_wait(record).subject == message.key
        else:
            assert decode(TOPICS[message.topic].schema, record).model_dump()["run_id"] == message.key


@pytest.mark.parametrize("closed", [0, 1, 2, 3])
def test_small_files_hold_back_at_most_half(tmp_path: Path, closed: int) -> None:
    rows = [ROW.replace("7,", f"{n},", 1) for n in range(closed)]
    rows.append("99,Devin,Go,fix,open,false,,1,2,3,4,5,6,7,8,9")
    planned = plan(read_pulls(write(tmp_path, HEAD, *rows)), NOW, seed=0)
    assert len(planned.paced) == (closed + 1) // 2
    assert planned.unique("outcomes") == closed - len(planned.paced)


def test_a_merge_in_the_future_is_refused(tmp_path: Path) -> None:
    file = write(tmp_path, HEAD, ROW.replace("true,", "true,2026-03-02T00:00:00Z"))
    with pytest.raises(ConfigurationError, match="in the future"):
        plan(read_pulls(file), NOW, seed=0)
