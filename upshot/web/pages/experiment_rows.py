"""All experiments with what was seen of them, for the first page and for the list."""

from __future__ import annotations

import asyncio

from upshot.insights.pages.home import EXPOSED, REGISTERED, experiment_rows
from upshot.insights.pages.query import Row
from upshot.web.site import PageRequest


async def all_experiments(asked: PageRequest) -> list[Row]:
    """The rows of EXPERIMENTS; the registry as it is now, runs as they were counted a minute ago."""
    return experiment_rows(*await asyncio.gather(asked.rows(REGISTERED), asked.counted(EXPOSED)))


__all__ = ["all_experiments"]
