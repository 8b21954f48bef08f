"""Work that is deferred: a fact of its own for each call, checked where it's made."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from pydantic import BaseModel

import upshot
from upshot import App
from upshot.errors import Misuse
from upshot.schemas.deferrals import Deferral
from upshot.testing import Captured, FakeClock


class Ticket(BaseModel):
    ticket_id: int
    opened: datetime | None = None


@pytest.fixture
def later(app: App) -> upshot.Scorer[Ticket, bool]:
    @app.scorer(name="stayed_closed", version="3")
    async def later(ctx: upshot.Followup[Ticket]) -> bool:
        return True

    return later


def test_a_run_defers(app: App, sent: Captured, clock: FakeClock, later: upshot.Scorer[Ticket, bool]) -> None:
    with app.run("helper", run_id="r1") as run:
        clock.advance(timedelta(seconds=3))
        ident = run.defer(later, Ticket(ticket_id=7, opened=clock.now))
        with run.step("draft") as step:
            about_step = step.defer(later, Ticket(ticket_id=8))
    first, second = sent.deferrals
    assert ("deferrals", ident) in [message[:2] for message in sent.transport.messages]
    traced = first.pop("attributes")
    assert traced.keys() == {"trace_id", "span_id"}
    assert first == {
        "followup_id": ident,
        "run_id": "r1",
        "scorer": "stayed_closed",
        "version": "3",
        "data": {"ticket_id": 7, "opened": "2026-01-01T12:00:03Z"},
        "deferred_at": "2026-01-01T12:00:03Z",
        "since": "2026-01-01T12:00:00Z",
        "agent": "helper",
    }
    assert (second["followup_id"], second["step_id"]) == (about_step, step.id)
    assert all(Deferral.model_validate(deferral) for deferral in sent.deferrals)


def test_each_call_is_one_of_its_own_unless_they_share_a_key(
    app: App, sent: Captured, later: upshot.Scorer[Ticket, bool]
) -> None:
    ticket = Ticket(ticket_id=7)
    for _ in range(2):
        with app.run("helper", run_id="r1") as run:
            ids = [run.defer(later, ticket) for _ in range(1000)]
            keyed = {run.defer(later, ticket, key="k") for _ in range(3)}
    assert len(set(ids)) == 1000
    assert len(keyed) == 1
    assert len({deferral["followup_id"] for deferral in sent.deferrals}) == 1001
    assert keyed == {app.defer("r1", later, ticket, key="k")}


def test_from_anywhere(app: App, sent: Captured, later: upshot.Scorer[Ticket, bool]) -> None:
    ids = {app.defer("r1", later, Ticket(ticket_id=7)) for _ in range(3)}
    assert len(ids) == 3
    begun = datetime(2025, 12, 31, tzinfo=UTC)
    app.defer("r1", later, Ticket(ticket_id=7), step_id="s1", agent="helper", since=begun)
    last = sent.deferrals[-1]
    assert (last["step_id"], last["agent"], last["since"]) == ("s1", "helper", "2025-12-31T00:00:00Z")
    assert sent.deferrals[0]["since"] == sent.deferrals[0]["deferred_at"]


def test_misuse_defers_nothing(app: App, sent: Captured, later: upshot.Scorer[Ticket, bool]) -> None:
    async def undecorated(ctx: upshot.Followup[Ticket]) -> bool:
        return True

    with app.run("helper") as run:
        with pytest.raises(Misuse, match=r"stayed_closed takes Ticket, not .*nothing is deferred"):
            run.defer(later, "text")  # type: ignore[misc]
        with pytest.raises(Misuse, match=r"undecorated is no scorer: write @app\.scorer above it"):
            run.defer(undecorated, Ticket(ticket_id=7))  # type: ignore[arg-type]
        with pytest.raises(Misuse, match="this deferral can't be recorded: key"):
            run.defer(later, Ticket(ticket_id=7), key="")
        with pytest.raises(Misuse, match=r"write datetime\.now\(UTC\)"):
            app.defer("r1", later, Ticket(ticket_id=7), since=datetime(2026, 1, 1))
        with pytest.raises(Misuse, match="has not begun"):
            app.run("helper").defer(later, Ticket(ticket_id=7))
    assert sent.deferrals == []
