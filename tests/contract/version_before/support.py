"""The app whose follow-up waits across two versions."""

from __future__ import annotations

from datetime import timedelta

import upshot

app = upshot.App("support", version="1.0")


def judge(ticket: str) -> str:
    """Kept as the step's result: the version after must not run it again."""
    return f"read by the version before: {ticket}"


@app.scorer
async def stayed_closed(ctx: upshot.Followup[str]) -> bool:
    """Whether the ticket stays closed, with the opinion of the first execution."""
    opinion = await ctx.step("judge", judge, ctx.data)
    reopened = await ctx.wait_for_event(
        "ticket.reopened", subject=f"ticket:{ctx.data}", timeout=timedelta(days=3600)
    )
    ctx.score("opinion", reopened is not None, comment=opinion)
    return reopened is None
