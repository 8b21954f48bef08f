"""The code of the load's follow-ups: one waits, scores and defers another, which waits and scores."""

from __future__ import annotations

from datetime import timedelta

import upshot

app = upshot.App("chaos")
FORTNIGHT = timedelta(days=14)


@app.scorer
async def stayed_closed(ctx: upshot.Followup[str]) -> bool:
    """Whether nobody reopened the ticket."""
    reopened = await ctx.wait_for_event("ticket.reopened", subject=ctx.data, timeout=FORTNIGHT)
    return reopened is None


@app.scorer
async def closed(ctx: upshot.Followup[str]) -> float | None:
    """What the ticket's closing says; whether it stays closed is seen later."""
    event = await ctx.wait_for_event("ticket.closed", subject=ctx.data, timeout=FORTNIGHT)
    if event is None:
        return None
    ctx.defer(stayed_closed, ctx.data)
    return float(event.data["effort"])


__all__ = ["FORTNIGHT", "app", "closed", "stayed_closed"]
