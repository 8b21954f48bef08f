"""`/system`: the components with their lag, the doctor's findings on request, counts and failures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from upshot.insights.pages.home import OUTCOMES
from upshot.ops.doctor.examination import examine
from upshot.web.charts.plot import sparkline
from upshot.web.pages.home import command_words
from upshot.web.site import PageHandler, PageRequest
from upshot.web.stand_ins import AGAIN
from upshot.web.status import Watch
from upshot.web.views import View


def system(watch: Watch) -> PageHandler:
    """The page of one server. People without a key see this page alone, and no finding."""

    async def page(asked: PageRequest) -> View:
        status = await watch.status()
        asked.ages.append(status.age)
        may_read = asked.frame.role != "nobody"
        findings = await examine(asked.site.settings) if may_read and asked.query.text("doctor") else []
        data = {"status": status, "findings": findings}
        sparks = {name: sparkline(lags) for name, lags in status.lags.items() if any(lags)}
        rates = {name: sparkline(each) for name, each in status.rates.items() if any(each)}
        words = command_words(asked.site.settings)
        extras = {"share": share, "sparks": sparks, "rate_sparks": rates, "outcomes": OUTCOMES, **words}
        title = "System" if status.health.ok else "System, not well"
        is_well = status.health.ok and not status.trouble
        again = 0 if is_well or findings else AGAIN
        plain = {"healthy": status.health.ok, "state": asdict(status), "findings": findings}
        return View("system.html", title, plain, {**extras, **data}, again=again)

    return page


def share(row: Mapping[str, Any]) -> str:
    """The share of true in percent, the mean of numbers and their sum, both where a name has both,
    or nothing.
    """
    shares = []
    if row["rate_percent"] is not None:
        shares.append(f"{row['rate_percent']:.1f}%")
    if row["mean"] is not None:
        shares.append(f"{row['mean']:.4g}")
        if int(row["scored"]) > 1:
            shares[-1] += f" (total {row['total']:,.6g})"
    return ", ".join(shares)


__all__ = ["share", "system"]
