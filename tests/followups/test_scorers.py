"""What can be a scorer is known by its signature; errors say what to write instead."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import BaseModel

import upshot
from upshot import App
from upshot.errors import Misuse

if TYPE_CHECKING:
    from pathlib import Path as Elsewhere


class Ticket(BaseModel):
    ticket_id: int


class Handle:
    pass


def plain(ctx: upshot.Followup[Ticket]) -> bool:
    return True


async def nothing() -> bool:
    return True


async def two(ctx: upshot.Followup[Ticket], other: int) -> bool:
    return True


async def silent(ctx) -> bool:  # type: ignore[no-untyped-def]
    return True


async def bare(ctx: Ticket) -> bool:
    return True


async def half(ctx: upshot.Followup) -> bool:  # type: ignore[type-arg]
    return True


async def elsewhere(ctx: upshot.Followup[Elsewhere]) -> bool:
    return True


async def handle(ctx: upshot.Followup[Handle]) -> bool:
    return True


async def good(ctx: upshot.Followup[Ticket], by_the_way: int = 1) -> bool:
    return True


MISUSES: list[tuple[Any, str]] = [
    (lambda app: app.scorer(plain), "write `async def plain(ctx: upshot.Followup[Ticket]) -> bool:`"),
    (lambda app: app.scorer(nothing), "a scorer takes one: write `async def nothing(ctx:"),
    (lambda app: app.scorer(two), "two takes 2 arguments"),
    (lambda app: app.scorer(silent), "silent doesn't say what data it takes"),
    (lambda app: app.scorer(bare), "bare takes Ticket, a scorer takes Followup"),
    (lambda app: app.scorer(half), "half takes Followup, a scorer takes Followup of its data's type"),
    (lambda app: app.scorer(elsewhere), "not only under TYPE_CHECKING"),
    (lambda app: app.scorer(handle), "use a pydantic model"),
    (lambda app: app.scorer("name"), "write @app.scorer(name='name')"),
    (lambda app: app.scorer(name="")(good), "is no name of a scorer"),
    (lambda app: app.scorer(version=2)(good), 'write @app.scorer(version="2")'),
    (lambda app: app.scorer(timeout=5)(good), "write timeout=timedelta(minutes=5)"),
    (lambda app: app.scorer(attempts=0)(good), "attempts=1"),
    (lambda app: app.scorer(app.scorer(good).function), "there is a scorer good version 1 already"),
]


@pytest.mark.parametrize(("misuse", "instead"), MISUSES, ids=[said for _, said in MISUSES])
def test_errors_say_what_to_write_instead(app: App, misuse: Any, instead: str) -> None:
    with pytest.raises(Misuse) as caught:
        misuse(app)
    assert instead in str(caught.value)


async def test_versions_stand_side_by_side(app: App) -> None:
    one = app.scorer(good)
    two = app.scorer(version="2", timeout=timedelta(seconds=3), attempts=7)(good)
    assert app.scorers == {("good", "1"): one, ("good", "2"): two}
    assert (two.timeout, two.attempts) == (timedelta(seconds=3), 7)
    assert repr(two) == "<scorer good version 2>"
    assert await one(object())  # type: ignore[arg-type]


def test_types_made_where_the_scorer_stands(app: App) -> None:
    @dataclass
    class Local:
        number: int

    @app.scorer
    async def local(ctx: upshot.Followup[Local]) -> None:
        """What it's for."""

    assert local.read(local.write(Local(3))) == Local(3)
    assert local.__doc__ == "What it's for."


def test_data_is_held_to_its_type(app: App) -> None:
    scorer = app.scorer(good)
    assert scorer.write(Ticket(ticket_id=3)) == b'{"ticket_id":3}'
    with pytest.raises(Misuse, match=r"good takes Ticket, not 7: .*nothing is deferred"):
        scorer.write(7)  # type: ignore[arg-type]
    with pytest.raises(Misuse, match=r"ticket_id: Field required.*a default for a new field"):
        scorer.read(b"{}")

    @app.scorer
    async def anything(ctx: upshot.Followup[Any]) -> None: ...

    with pytest.raises(Misuse, match="can't be kept as JSON for anything"):
        anything.write(object())


def test_no_message_shows_how_data_are_checked(app: App) -> None:
    @app.scorer
    async def either(ctx: upshot.Followup[list[int | str] | dict[str, bool]]) -> None: ...

    for wrong in ([None], {"a": "x"}, object()):
        with pytest.raises(Misuse) as caught:
            either.write(wrong)  # type: ignore[arg-type]
        for inside in ("validation error", "pydantic", "Pydantic", "function-", "type="):
            assert inside not in str(caught.value)
