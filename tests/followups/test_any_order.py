"""Whatever the order in which the same events are told, however often and how late.

The scores end the same.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import upshot
from upshot import App
from upshot.settings import Settings
from upshot.testing import Rehearsal, followup

START = datetime(2026, 1, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
app = App("any-order", settings=Settings(data_dir=Path("unused")))


class Told(NamedTuple):
    type: str
    subject: str
    hour: int
    number: int
    data: int

    @property
    def at(self) -> datetime:
        """No two events bear the same instant: of such events the one recorded first comes first."""
        place = "abc".index(self.type) * 2 + "xy".index(self.subject)
        return START + self.hour * HOUR + timedelta(seconds=self.number * 6 + place)


def double(number: int) -> int:
    return 2 * number


@app.scorer
async def everything(ctx: upshot.Followup[str]) -> float | None:
    """Waits in every way there is, one depending on the other."""

    async def counted(subject: str) -> int:
        number, last = 0, None
        while last := await ctx.wait_for_event("a", subject=subject, timeout=4 * HOUR, since=last):
            number += await ctx.step("double", double, last.data)
        ctx.score("counted", number, key=subject)
        return number

    async def chosen() -> int:
        both = [upshot.expect("a", subject="x"), upshot.expect("b", subject="y", when="data > `1`")]
        event = await ctx.wait_for_any(both, timeout=6 * HOUR)
        if event is None:
            return -1
        await ctx.sleep(2 * HOUR)
        rest = await ctx.wait_for_all(
            [upshot.expect(["b", "c"], subject="x"), upshot.expect("c", subject="y")],
            timeout=5 * HOUR,
            since=event,
        )
        return event.data if rest is None else sum(one.data for one in rest)

    numbers = await asyncio.gather(counted("x"), counted("y"), chosen())
    ctx.score("hours", (ctx.now() - START) / HOUR)
    late = await ctx.wait_for_event("c", subject="x", timeout=3 * HOUR)
    return None if late is None and numbers[0] else sum(numbers)


told = st.builds(
    Told,
    st.sampled_from("abc"),
    st.sampled_from("xy"),
    st.integers(-1, 12),
    st.integers(0, 6),
    st.integers(0, 3),
)


def tell(f: Rehearsal, event: Told) -> None:
    if event.at > f.now:
        f.advance(event.at - f.now)
    ident = f"{event.number}-{event.hour}-{event.type}"
    f.outcome(event.type, event.subject, event.data, at=event.at, id=ident)


def outcome(
    events: list[Told], pauses: list[int], crashes: list[bool]
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    begun = START - 2 * HOUR
    with followup(everything, "x", run_started_at=begun, deferred_at=START - HOUR) as f:
        for event, pause, crash in zip(events, pauses, crashes, strict=True):
            f.advance(pause * HOUR)
            tell(f, event)
            if crash:
                f.retry()
        f.advance(timedelta(days=30))
        assert f.status == "done", f.error
        return sorted(f.given, key=lambda score: (score["name"], score.get("key", ""))), f.waiting_for


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(told, max_size=7, unique_by=lambda t: t[1:4] + t[:1]), st.data())
def test_any_order(events: list[Told], data: st.DataObject) -> None:
    in_time = sorted(events, key=lambda event: event.at)
    wanted = outcome(in_time, [0] * len(in_time), [False] * len(in_time))
    repeats = data.draw(st.lists(st.sampled_from(events), max_size=4) if events else st.just([]))
    mixed = data.draw(st.permutations([*events, *repeats]))
    times = {"min_size": len(mixed), "max_size": len(mixed)}
    pauses = data.draw(st.lists(st.integers(0, 3), **times))
    crashes = data.draw(st.lists(st.booleans(), **times))
    assert outcome(mixed, pauses, crashes) == wanted
