"""`/experiments`: all of them, the units that one needs, and a form to start one."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from upshot.errors import ConfigurationError
from upshot.insights.experiments.sizing import StatedSize, needed
from upshot.insights.pages.home import EXPERIMENTS, MOST_EXPERIMENTS
from upshot.web.pages.experiment_rows import all_experiments
from upshot.web.site import PageHandler, PageRequest
from upshot.web.verdicts import Verdicts, running_of
from upshot.web.views import View

#: How long a page waits for a change to be stored.
_STORED_WITHIN = timedelta(minutes=1)
#: Fields of the form for a new experiment, as they are before anything is written.
NEW: Mapping[str, Any] = {
    "name": "", "variants": "plain=1, warm=1", "control": "plain", "unit": "run", "decide": "", "guard": "",
    "mde": "", "planned": "", "alpha": "0.05", "traffic": "100%", "audience": "", "layer": "", "holdout": "",
    "adaptive": "", "why": "",
}  # fmt: skip


def experiments(verdicts: Verdicts) -> PageHandler:
    """The page of one server: all experiments, those of the registry first, with their verdicts."""

    async def page(asked: PageRequest) -> View:
        return await list_of(asked, verdicts)

    return page


async def list_of(
    asked: PageRequest, verdicts: Verdicts, written: Mapping[str, Any] = NEW, refusal: str = ""
) -> View:
    """The list; with what was written into the form, where that was refused."""
    found = await all_experiments(asked)
    rows = found[:MOST_EXPERIMENTS]
    running = running_of(rows)
    judged = await verdicts.of(running)
    started = asked.query.text("started")
    is_behind = bool(started) and just_changed(asked) and all(row["experiment"] != started for row in rows)
    size = _size(asked)
    extras = {
        "written": {**NEW, **written},
        "refusal": refusal,
        "started": started if any(row["experiment"] == started for row in rows) or is_behind else "",
        "is_behind": is_behind,
        "sizing": {
            name: asked.query.text(name)
            for name in ("mde", "rate", "mean", "deviation", "weights", "per_day")
        },
        "size": size,
        "all": EXPERIMENTS if len(found) > MOST_EXPERIMENTS else None,
    }
    data = {
        "experiments": rows,
        "verdicts": judged,
        "verdicts_on_their_way": verdicts.on_their_way(running),
        **({"size": size} if size else {}),
    }
    return View(
        "experiments.html", "Experiments", data, extras, export=EXPERIMENTS,
        status=400 if refusal else 200, again=1 if is_behind else 0,
    )  # fmt: skip


def just_changed(asked: PageRequest) -> bool:
    """Whether the page shows a change of the last minute, which may not be stored yet."""
    change = asked.query.instant("changed")
    return change is not None and abs(asked.now - change) < _STORED_WITHIN


def _size(asked: PageRequest) -> dict[str, Any] | None:
    """The units that an experiment needs, or why they can't be told; None where nobody wants to know."""
    mde = asked.query.text("mde")
    if not mde:
        return None
    try:
        found = needed(
            StatedSize(
                mde,
                asked.query.text("rate"),
                number_of(asked.query.text("mean"), "mean"),
                number_of(asked.query.text("deviation"), "deviation"),
                asked.query.text("weights") or "1,1",
                number_of(asked.query.text("per_day"), "units per day"),
            )
        )
    except ConfigurationError as error:
        return {"sentence": str(error), "units": None, "units_for_one_look": None, "days": None}
    return {
        "sentence": found.sentence,
        "units": found.daily,
        "units_for_one_look": found.once,
        "days": found.days,
    }


def number_of(text: str, name: str) -> float | None:
    """A number of a form; None where nothing was written. Raises ConfigurationError."""
    try:
        return float(text) if text.strip() else None
    except ValueError:
        raise ConfigurationError(f"{name} is a number, not {text!r:.100}; nothing was changed") from None


__all__ = ["NEW", "experiments", "just_changed", "list_of", "number_of"]
