"""`/`: is all well, what is open, what is decided, and the last scores as they land."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from shlex import quote
from typing import Any

from upshot.errors import UpshotError
from upshot.insights.pages.alerts import AlertFilter, alert_counts
from upshot.insights.pages.home import (
    EXPERIMENTS,
    EXPOSED,
    HOME_COUNTS,
    LATEST_SCORES,
    MOST_EXPERIMENTS,
    MOST_PENDING,
    OUTCOMES,
    PENDING,
    SCORES_A_DAY,
)
from upshot.settings import Settings
from upshot.web.charts.plot import NO_PLOT, sparkline
from upshot.web.formats import seconds_between
from upshot.web.pages.experiment_rows import all_experiments
from upshot.web.site import PageHandler, PageRequest
from upshot.web.stand_ins import AGAIN
from upshot.web.status import Watch
from upshot.web.verdicts import Verdicts, running_of
from upshot.web.views import View

_LATEST = 12
#: Counts over all that there is, which everyone sees first.
STANDING = (HOME_COUNTS, alert_counts(AlertFilter()), EXPOSED, SCORES_A_DAY, PENDING)
_DEFAULT_DATA_DIR = Settings.model_fields["data_dir"].default


def home(watch: Watch, verdicts: Verdicts) -> PageHandler:
    """The page of one server."""

    async def page(asked: PageRequest) -> View:
        health, (trouble, found) = await asyncio.gather(watch.soon(), _found(asked, verdicts))
        counts, since = found["counts"], watch.since
        data = {
            "healthy": health.ok,
            "components": [
                {"name": part.name, "ok": part.ok, "detail": part.detail, "since": since.get(part.name)}
                for part in health.parts
            ],
            "trouble": trouble,
            **found,
            "is_empty": not trouble and not any(counts.values()),
        }
        queries = {
            "outcomes": OUTCOMES,
            "days": SCORES_A_DAY,
            "experiments": EXPERIMENTS,
            "latest": LATEST_SCORES,
        }
        extras = {
            "sparks": score_sparks(found["days"], found["pending"]),
            "names": len({row["name"] for row in (*found["days"], *found["pending"])}),
            "since": min(since.values(), default=None),
            "queries": queries,
            **command_words(asked.site.settings),
        }
        comes_back = bool(trouble) or not health.of("kafka").ok
        again = AGAIN if comes_back else 0
        return View("home.html", "Home", data, extras, export=LATEST_SCORES, again=again)

    return page


_NOTHING: dict[str, Any] = {
    "counts": {},
    "latest": [],
    "experiments": [],
    "more_experiments": False,
    "days": [],
    "pending": [],
    "verdicts": {},
    "verdicts_on_their_way": [],
}


async def _found(asked: PageRequest, verdicts: Verdicts) -> tuple[str, dict[str, Any]]:
    """Why there are no figures, and the figures."""
    try:
        found = await _figures(asked)
        running = running_of(found["experiments"])
        found["verdicts"] = await verdicts.of(running)
        found["verdicts_on_their_way"] = verdicts.on_their_way(running)
    except UpshotError as error:
        return asked.site.explained(error), _NOTHING
    return "", found


async def _figures(asked: PageRequest) -> dict[str, Any]:
    counts, alerts, latest, experiments, days, pending = await asyncio.gather(
        asked.counted(HOME_COUNTS),
        asked.counted(alert_counts(AlertFilter())),
        asked.read(LATEST_SCORES.first, asked.reader, _LATEST),
        all_experiments(asked),
        asked.counted(SCORES_A_DAY),
        asked.counted(PENDING),
    )
    for row in latest.rows:
        row["latency"] = seconds_between(row["occurred_at"], row["decided_at"])
    return {
        "counts": {
            **{name: int(each) for name, each in counts[0].items()},
            "firing": int(alerts[0]["alerts firing"]),
        },
        "latest": latest.rows,
        "experiments": experiments[:MOST_EXPERIMENTS],
        "more_experiments": len(experiments) > MOST_EXPERIMENTS,
        "days": days,
        "pending": pending[:MOST_PENDING],
    }


def score_sparks(
    days: Sequence[dict[str, Any]], pending: Sequence[dict[str, Any]] = ()
) -> list[dict[str, Any]]:
    """Each score's name with its last rate or mean, a line of the last 30 days, and what is pending."""
    found: dict[str, list[dict[str, Any]]] = {row["name"]: [] for row in pending}
    for row in days:
        found.setdefault(row["name"], []).append(row)
    waits = {row["name"]: int(row["waits"]) for row in pending}
    sparks = [_spark(name, rows, waits.get(name, 0)) for name, rows in found.items()]
    return sorted(sparks, key=lambda each: (-each["scored"], -each["pending"], each["name"]))[:12]


def _spark(name: str, rows: Sequence[dict[str, Any]], pending: int) -> dict[str, Any]:
    is_rate = any(row["rate"] is not None for row in rows)
    column = "rate" if is_rate else "mean"
    values = [float(value) for row in rows if (value := row[column]) is not None]
    scored = sum(int(row["scored"]) for row in rows)
    weighted = sum(int(row["scored"]) * float(row[column] or 0) for row in rows) / max(1, scored)
    return {
        "name": name,
        "is_rate": is_rate,
        "value": weighted if scored else None,
        "scored": scored,
        "pending": pending,
        "plot": sparkline(values) if values else NO_PLOT,
    }


def command_words(settings: Settings) -> dict[str, str]:
    """What commands to this stack need: the option of its folder, and the prefix of its topics."""
    here = "" if settings.data_dir == _DEFAULT_DATA_DIR else f" --data-dir {quote(str(settings.data_dir))}"
    return {"option_here": here, "prefix": settings.topic_prefix}


__all__ = ["STANDING", "command_words", "home", "score_sparks"]
