"""The pure mapping: which messages are outcomes, and of what."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from upshot import App
from upshot.errors import ConfigurationError, InvalidEvent, Misuse
from upshot.sources import Message, Source, outcomes_of
from upshot.sources.loading import load_app
from upshot.testing import capture

AT = datetime(2026, 11, 24, 12, tzinfo=UTC)
VALUE = {
    "action": "closed",
    "number": 12,
    "repo": {"name": "acme/web"},
    "merged": True,
    "odd": None,
    "list": [],
}


def told(source: Source, value: Any = VALUE, **more: Any) -> list[dict[str, Any]]:
    message = Message(value, "github", "github-0-7", AT, **more)
    return [msgspec.json.decode(outcome) for outcome in outcomes_of(source, message)]


def a_source(**parts: Any) -> Source:
    return Source(**({"type": "pr.closed", "topic": "github", "subject": "pr:{repo.name}#{number}"} | parts))


def test_the_least_that_works() -> None:
    assert told(a_source()) == [
        {
            "specversion": "1.0",
            "type": "pr.closed",
            "subject": "pr:acme/web#12",
            "id": "github-0-7/pr.closed",
            "source": "github",
            "time": "2026-11-24T12:00:00+00:00",
            "data": VALUE,
        }
    ]


def test_every_part_by_path_and_by_function() -> None:
    by_path = a_source(
        type="pr.{action}",
        id="{number}-{action}",
        source="git:{repo.name}",
        time="at",
        data={"merged": "merged", "size": "length(repo.name)", "key": lambda message: message.key},
    )
    by_function = a_source(
        type=lambda m: f"pr.{m.value['action']}",
        subject=lambda m: f"pr:{m.value['repo']['name']}#{m.value['number']}",
        id=lambda m: f"{m.value['number']}-{m.value['action']}",
        source=lambda m: "git:" + m.value["repo"]["name"],
        time=lambda m: datetime(2026, 11, 1, tzinfo=UTC),
        data=lambda m: {"merged": m.value["merged"], "size": 8, "key": m.key},
    )
    value = VALUE | {"at": "2026-11-01T00:00:00+00:00"}
    [outcome] = told(by_path, value, key="k")
    assert [outcome] == told(by_function, value, key="k")
    assert (outcome["id"], outcome["source"]) == ("12-closed", "git:acme/web")
    assert outcome["data"] == {"merged": True, "size": 8, "key": "k"}


@pytest.mark.parametrize(
    ("when", "means"),
    [
        ("action == 'closed'", True),
        ("merged", True),
        ("number", False),
        ("missing", False),
        (lambda message: message.value["number"], True),
        (lambda message: message.headers.get("kind") == "pr", False),
    ],
)
def test_conditions(when: Any, means: bool) -> None:
    assert bool(told(a_source(when=when))) == means


def test_several_subjects_are_an_outcome_each() -> None:
    source = a_source(subject=lambda message: ["pr:1", "pr:2"])
    assert [outcome["subject"] for outcome in told(source)] == ["pr:1", "pr:2"]
    assert told(a_source(subject=lambda message: [])) == []


def test_a_path_that_leads_nowhere_gives_no_subject() -> None:
    assert told(a_source(subject="pr:{odd}"))[0]["subject"] is None


#: It doubles with each level.
COSTLY = "|".join(["[@,@][]"] * 24)


@pytest.mark.parametrize(
    "parts",
    [
        {"subject": "pr:{merged}"},
        {"subject": "pr:{list}"},
        {"subject": lambda message: message.value["nothing"]},
        {"when": lambda message: 1 / 0},
        {"when": "length(number) > `3`"},
        {"when": COSTLY + "|length(@)"},
        {"data": COSTLY},
        {"data": "|".join(["[@,@]"] * 30)},
        {"data": lambda message: object()},
        {"data": lambda message: float("nan")},
    ],
)
def test_what_fails_is_a_reason_to_keep_the_message(parts: dict[str, Any]) -> None:
    with pytest.raises(InvalidEvent) as caught:
        told(a_source(**parts))
    assert caught.value.reason == "unmapped"
    assert next(iter(parts)) in caught.value.detail or "JSON" in caught.value.detail


@pytest.mark.parametrize(
    "parts",
    [{"topic": None}, {"webhook": "github"}, {"when": "a =="}, {"subject": "pr:{a b}"}, {"data": {"a": "["}}],
)
def test_a_source_that_cannot_work_is_refused_at_once(parts: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        a_source(**parts)


def test_bytes_are_read_as_json_or_as_the_source_says() -> None:
    assert a_source().read(b'{"a":1}') == {"a": 1}
    assert a_source(decode=lambda raw: raw.decode().split("|")).read(b"a|b") == ["a", "b"]
    for source, reason in ((a_source(), "not_json"), (a_source(decode=lambda raw: 1 / 0), "unmapped")):
        with pytest.raises(InvalidEvent) as caught:
            source.read(b"\xff")
        assert caught.value.reason == reason


@pytest.mark.parametrize(
    ("named", "said"),
    [
        ("app", "MODULE:NAME"),
        (":app", "MODULE:NAME"),
        ("no_such_module_here:app", "no module no_such_module_here"),
        ("needy:app", "needs no_such_package"),
        ("plain:nothing", "no app called nothing"),
        ("plain:path", "no app called path"),
    ],
)
def test_an_app_that_cannot_be_loaded_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named: str, said: str
) -> None:
    (tmp_path / "plain.py").write_text("path = 1\n")
    (tmp_path / "needy.py").write_text("import no_such_package\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", [str(tmp_path)])
    with pytest.raises(ConfigurationError, match=re.escape(said)):
        load_app(named)


@pytest.mark.parametrize("verb", ["map_outcomes", "outcome"])
def test_an_app_says_where_outcomes_are(verb: str) -> None:
    app = App("shop")
    declare = getattr(app, verb)
    by_path = declare("pr.closed", "pr:{number}", topic="github", when="merged", data={"by": "repo.name"})
    by_code = declare("seen", lambda message: f"pr:{message.value['number']}", "repo", webhook="github")
    assert app.sources == [by_path, by_code]
    assert [(event["subject"], event["data"]) for event in told(by_path)] == [("pr:12", {"by": "acme/web"})]
    assert [(event["subject"], event["data"]) for event in told(by_code)] == [("pr:12", {"name": "acme/web"})]


def test_the_older_spelling_declares_the_same_source() -> None:
    app = App("shop")
    parts: dict[str, Any] = {
        "topic": "github",
        "when": "merged",
        "id": "{number}",
        "source": "git",
        "time": "at",
        "data": {"by": "repo.name"},
        "decode": lambda raw: raw.decode().split("|"),
    }
    now = app.map_outcomes("pr.closed", "pr:{number}", **parts)
    before = app.outcome("pr.closed", "pr:{number}", **parts)
    assert now == before
    assert app.sources == [now, before]
    assert now.read(b"a|b") == before.read(b"a|b") == ["a", "b"]
    value = VALUE | {"at": "2026-11-01T00:00:00+00:00"}
    assert [outcome["id"] for source in (now, before) for outcome in told(source, value)] == ["12", "12"]


def test_a_mapping_sends_nothing() -> None:
    app = App("shop")
    with capture(app) as sent:
        app.map_outcomes("pr.closed", "pr:{number}", topic="github")
        app.outcome("pr.closed", "pr:{number}", webhook="github")
    assert sent.outcomes == []


@pytest.mark.parametrize("where", [{}, {"topic": "github", "webhook": "github"}])
def test_a_mapping_is_of_one_topic_or_one_webhook(where: dict[str, str]) -> None:
    app = App("shop")
    wrong: Any = app.map_outcomes
    with pytest.raises(ConfigurationError, match="a topic or a webhook"):
        wrong("pr.closed", "pr:1", **where)
    assert app.sources == []


def test_what_is_about_messages_needs_to_say_where_they_are() -> None:
    wrong: Any = App("shop").outcome
    with pytest.raises(
        Misuse, match=r"when= is about the messages of others: .* app\.map_outcomes\(…, topic='github'\) or"
    ):
        wrong("pr.closed", "pr:1", when="merged")
    with pytest.raises(ConfigurationError, match="a topic or a webhook"):
        wrong("pr.closed", "pr:1", topic="github", webhook="github")
