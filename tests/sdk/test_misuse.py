"""Bad use is refused at once, and the error says what to write instead."""

from __future__ import annotations

from typing import Any

import pytest

import upshot
from upshot import App
from upshot.errors import Misuse
from upshot.testing import Captured

MISUSES: list[tuple[Any, str]] = [
    (lambda app: App(""), 'write upshot.App("support")'),
    (lambda app: app.agent("support"), "write @app.agent(name='support')"),
    (lambda app: app.step("draft"), "write @app.step(name='draft')"),
    (lambda app: app.run(len), 'write `with app.run("support") as run:`'),
    (lambda app: app.run("x").id, "use it inside `with run:`"),
    (lambda app: app.run("x").step("y").__enter__(), "use it inside `with run:`"),
    (lambda app: upshot.current_run(), "inside `with app.run(name):`"),
    (lambda app: upshot.current_step(), "inside `with run.step(name):`"),
    (lambda app: app.step(attempts=0)(len), "write attempts=1"),
    (lambda app: app.run("x", attributes={"": 1}), "1 to 200 characters"),
    (lambda app: app.score("r1", "helpful", "yes"), "write a number or a boolean"),
    (lambda app: app.score("r1", "", 1), "this score can't be recorded: name"),
    (lambda app: app.outcome("pr.closed", ""), "this outcome can't be recorded: subject"),
]


@pytest.mark.parametrize(("misuse", "instead"), MISUSES, ids=[said for _, said in MISUSES])
def test_errors_say_what_to_write_instead(app: App, sent: Captured, misuse: Any, instead: str) -> None:
    with pytest.raises(Misuse) as caught:
        misuse(app)
    assert instead in str(caught.value)


def test_misuse_inside_a_run(app: App, sent: Captured) -> None:
    with app.run("helper") as run:
        with pytest.raises(Misuse, match="a new one for each"):
            run.__enter__()
        with pytest.raises(Misuse, match=r"not run\.step"):
            run.step("draft", "text")  # type: ignore[call-overload]
        with pytest.raises(Misuse, match="needs a name"):
            run.step("")
        with pytest.raises(Misuse, match="the first one is 1"):
            run.step("draft", attempt=0)
        with pytest.raises(Misuse, match="timedelta"):
            run.wait("merged", "pr:1", on={"pr.closed": True}, within=7)  # type: ignore[arg-type]
        with pytest.raises(Misuse, match=r'on=\{"pr.closed": True\}'):
            run.wait("merged", "pr:1", on="pr.closed", within="P7D")
        with pytest.raises(Misuse, match="numbers and booleans"):
            run.wait("merged", "pr:1", on={"a": True, "b": 1}, within="P7D")
    assert [told["status"] for told in sent.runs] == ["completed"]


def test_a_score_stays_a_number_or_a_boolean(app: App, sent: Captured) -> None:
    with app.run("helper") as run:
        run.score("helpful", 1)
        with pytest.raises(Misuse, match="give the other one a name of its own"):
            run.score("helpful", True)
        with pytest.raises(Misuse, match=r"write 1\.0 or 0\.0"):
            app.score("r2", "helpful", False)
        run.score("polite", True)
        with pytest.raises(Misuse, match="True or False"):
            run.wait("polite", "s:1", on={"a": 1}, within="P1D", otherwise=0)
    assert [(score["name"], score["value"]) for score in sent.scores] == [("helpful", 1.0), ("polite", True)]
    assert sent.waits == []
