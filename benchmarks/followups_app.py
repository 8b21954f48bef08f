"""The app of `benchmarks/followups.py`: code with one wait each."""

from __future__ import annotations

from datetime import timedelta

import upshot

app = upshot.App("benchmark")


@app.scorer
async def stayed_closed(ctx: upshot.Followup[int]) -> bool:
    """Whether nobody reopened the ticket."""
    reopened = await ctx.wait_for_event(
        "ticket.reopened", subject=f"ticket:{ctx.data}", timeout=timedelta(days=7)
    )
    return reopened is None
