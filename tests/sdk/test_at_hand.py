"""What is found by looking: names, what objects say of themselves, what other tools find."""

from __future__ import annotations

import asyncio

import pytest

import upshot
from upshot import App
from upshot.errors import Misuse
from upshot.testing import Captured, followup


def test_all_of_the_interface_is_listed() -> None:
    assert set(upshot.__all__) <= set(dir(upshot))
    assert dir(upshot) == sorted(dir(upshot))
    for name in upshot.__all__:
        assert getattr(upshot, name) is not None


def test_objects_say_what_they_are_and_where(app: App, sent: Captured) -> None:
    run = app.run("helper", run_id="a/b")
    assert repr(app.run("helper")) == "<run of helper, not begun>"

    with run, run.step("draft") as step:
        assert repr(run) == "<run a/b of helper, see http://127.0.0.1:8321>"
        assert repr(step) == f"<step draft {step.id} of run a/b>"
    assert repr(app) == "<app support at http://127.0.0.1:8321>"


@pytest.mark.parametrize("name", ["conf", "user_options", "set_default", "loader", "tasks"])
def test_celery_is_told_that_this_is_not_its_app(app: App, name: str) -> None:
    with pytest.raises(Misuse, match=r"celery -A tasks:celery_app worker"):
        getattr(app, name)
    assert not hasattr(app, name)
    with pytest.raises(AttributeError, match="has no attribute 'other'"):
        app.other  # noqa: B018


def test_a_captured_step_has_what_is_the_default(app: App, sent: Captured) -> None:
    with app.run("helper") as run:
        for name in ("one", "two"):
            with run.step(name):
                pass
    one, two = sent.steps
    assert (one["status"], one["kind"], one["attempt"], one["error"]) == ("ok", "function", 1, None)
    assert one["attributes"] is not two["attributes"]


def test_a_notebooks_cell_is_run_again(app: App) -> None:
    for answer in (False, True):

        @app.agent
        async def agent(x: int) -> int:
            return x

        @app.scorer
        async def stays(ctx: upshot.Followup[int]) -> bool:
            return answer  # noqa: B023 - as it is in this turn

    assert list(app.scorers.values()) == [stays]
    with followup(app.scorers["stays", "1"], 1) as f:
        assert f.scores == {"stays": True}
    with pytest.raises(Misuse, match="there is a scorer stays"):
        app.scorer(stays.function)


async def test_a_follow_up_is_played_where_a_loop_runs(app: App) -> None:
    @app.scorer
    async def stays(ctx: upshot.Followup[int]) -> bool:
        await asyncio.sleep(0)
        return True

    with followup(stays, 1) as f:
        assert f.scores == {"stays": True}
