"""`/scores` and `/scores/{name}`: rates and means, what is open, late or expired, the time to the outcome."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from functools import partial

from upshot.ingest.answers import Problem
from upshot.insights.pages import scores as stored
from upshot.insights.pages.query import Row
from upshot.insights.statistics.survival import Departures, kaplan_meier, median_time
from upshot.web.charts.plot import WIDTH, Plot, Sample, Span, bucket_seconds, lines, nice_top, stacked_bars
from upshot.web.formats import duration, instant_of, number, percent
from upshot.web.site import PageRequest
from upshot.web.urls import url
from upshot.web.views import View

#: Rows of a name that the page shows; names of the list.
_SCREEN, _NAMES = 20, 500
_HOUR, _DAY = 3600, 86_400
#: The question of the list.
ALL_NAMES = stored.score_names().some(_NAMES + 1)


async def scores(asked: PageRequest) -> View:
    """All names."""
    query = stored.score_names()
    found = await asked.counted(ALL_NAMES)
    extras = {
        "expired_of": stored.expired_query,
        "late_of": partial(stored.score_rows, late=True),
        "all": query if len(found) > _NAMES else None,
    }
    return View("scores.html", "Scores", {"scores": found[:_NAMES]}, extras, export=query)


async def score(asked: PageRequest) -> View:
    """One name; `as_of` shows the revisions known at an instant."""
    name = asked.part("name")
    by = asked.query.choice("by", stored.GROUPINGS, "agent")
    attribute = asked.query.text("attribute")
    as_of = asked.query.instant("as_of")
    grouped = stored.score_groups(name, by, attribute)
    groups, [reach] = await asyncio.gather(
        asked.counted(grouped.some(stored.MOST_GROUPS + 1)),
        asked.counted(stored.reach_of_scores(name, as_of is not None)),
    )
    whole = await _whole(asked, name, groups)
    if whole is None and not int(reach["scores"]):
        reach = await _reach_or_trouble(asked, name)
    seconds = _bucket(reach)
    query = stored.score_rows(name, as_of)
    daily = stored.score_over_time(name, seconds, as_of)
    days, latest, gone = await asyncio.gather(
        asked.counted(daily),
        asked.read(query.first, asked.reader, _SCREEN),
        asked.counted(stored.departures_query(name)),
    )
    left = stored.departures(gone)
    is_revised = any(int(row["revised"]) or int(row["late"]) for row in days)
    again = stored.revisions_a_day(name, as_of, any(int(row["given_again"]) for row in days))
    revisions = await asked.counted(again) if is_revised else []
    is_rate = any(row["rate"] is not None for row in days)
    sums_then = sums_of(name, days) if as_of is not None else whole
    data = {"name": name, "sums": sums_then, "by": by, "attribute": attribute,
            "groups": groups[: stored.MOST_GROUPS], "days": days,
            "revisions": revisions, "latest": latest.rows, "as_of": as_of,
            "median_hours": median_time(kaplan_meier(left))}  # fmt: skip
    extras = {
        "is_rate": is_rate,
        "over_time": _over_time(asked, days, seconds, is_rate),
        "volume": _volume(asked, days, seconds),
        "revised": revision_bars(revisions, asked.frame.clock.at),
        "survival": _survival(left),
        "groupings": stored.GROUPINGS,
        "all_groups": grouped if len(groups) > stored.MOST_GROUPS else None,
        "queries": {
            "groups": grouped,
            "days": daily,
            "revisions": again,
            "departures": stored.departures_query(name),
            "late": stored.score_rows(name, as_of, late=True),
            "expired": stored.expired_query(name),
            "all": query,
        },
        "largest": max((float(row["mean"] or 0) for row in groups), default=0),
    }
    return View("score.html", name, data, extras, export=query)


async def _reach_or_trouble(asked: PageRequest, name: str) -> Row:
    """The reach of all revisions, for a name without a present score. Raises Problem where there is none."""
    [reach] = await asked.rows(stored.reach_of_scores(name, True))
    if not int(reach["scores"]):
        names = await asked.rows(stored.score_names())
        known = [{"text": row["name"], "link": url("/scores", row["name"])} for row in names[:8]]
        raise Problem(404, f"there is no score {name[:200]!r}", nearest=known)
    return reach


async def _whole(asked: PageRequest, name: str, groups: Sequence[Row]) -> Row | None:
    """The sums of the name; None where there is neither a score nor a wait of it."""
    has_all = len(groups) <= stored.MOST_GROUPS and all(row["pending"] is not None for row in groups)
    if groups and has_all:
        return sums_of(name, groups)
    sums = await asked.counted(stored.score_sums(name))
    return sums[0] if sums else None


def sums_of(name: str, rows: Sequence[Row]) -> Row | None:
    """The sums of one name over its groups or its days, which don't tell what was pending or expired."""
    scored = sum(int(row["scored"]) for row in rows)
    booleans = sum(int(row["booleans"]) for row in rows)
    trues = sum(
        int(row["trues"]) if "trues" in row else int(row["booleans"]) * float(row["rate"] or 0)
        for row in rows
    )
    amount = sum((int(row["scored"]) - int(row["booleans"])) * float(row["mean"] or 0) for row in rows)
    if not rows:
        return None
    return {
        "name": name,
        "scored": scored,
        "rate": trues / booleans if booleans else None,
        "mean": amount / (scored - booleans) if scored > booleans else None,
        "late": sum(int(row["late"]) for row in rows),
        "pending": sum(int(row["pending"]) for row in rows) if "pending" in rows[0] else None,
        "expired": sum(int(row["expired"]) for row in rows) if "expired" in rows[0] else None,
    }


def _bucket(reach: Row) -> int:
    first, last = instant_of(reach["first_at"]), instant_of(reach["last_at"])
    return max(_HOUR, bucket_seconds(first, last, 40)) if first and last else _HOUR


def _span(days: list[Row], seconds: int) -> Span | None:
    times = [at for row in days if (at := instant_of(row["bucket"]))]
    return Span(min(times), max(times) + timedelta(seconds=seconds)) if times else None


def _over_time(asked: PageRequest, days: list[Row], seconds: int, is_rate: bool) -> Plot:
    span = _span(days, seconds)
    values = [
        (at + timedelta(seconds=seconds / 2), float(value))
        for row in days
        if (value := row["rate" if is_rate else "mean"]) is not None and (at := instant_of(row["bucket"]))
    ]
    if span is None or not values:
        return Plot("")
    samples = [Sample(span.x(at), value) for at, value in values]
    top = 1.0 if is_rate else nice_top(max(value for _, value in values))
    least = min(value for _, value in values)
    low = -nice_top(-least) if least < 0 else 0.0
    return lines(
        "Rate over time" if is_rate else "Mean over time",
        [("rate" if is_rate else "mean", "main", samples)],
        bounds=(low, top),
        value_label=(lambda value: percent(value, 0)) if is_rate else number,
        x_labels=span.labels(asked.frame.clock.at),
    )


def _volume(asked: PageRequest, days: list[Row], seconds: int) -> Plot:
    span = _span(days, seconds)
    if span is None:
        return Plot("")
    counts: list[tuple[datetime, str, float]] = []
    for row in days:
        at = instant_of(row["bucket"])
        assert at is not None
        late, revised = float(row["late"]), float(row["revised"])
        first = float(row["scored"]) - late - revised
        counts += [(at, "main", first), (at, "third", revised), (at, "second", late)]
    shown = [each for each in counts if each[2]]
    return stacked_bars(
        "Scores decided over time",
        span,
        seconds,
        shown,
        tuple(_DECIDED),
        time_label=asked.frame.clock.at,
        names=_DECIDED,
    )


def revision_bars(rows: Sequence[Row], time_label: Callable[[datetime, str], str]) -> Plot:
    """Scores decided anew, by day."""
    counts = [
        (at, kind, float(row[column]))
        for row in rows
        if (at := instant_of(row["bucket"]))
        for kind, column in (("third", "in_time"), ("second", "too_late"))
        if int(row[column])
    ]
    if not counts:
        return Plot("")
    days = [at for at, _, _ in counts]
    span = Span(min(days), max(days) + timedelta(seconds=_DAY))
    return stacked_bars(
        "Revisions a day", span, _DAY, counts, ("third", "second"), time_label=time_label, names=_DECIDED
    )


#: What the last revision of a score is, with its colour.
_DECIDED = {"main": "first revision", "third": "revised", "second": "late"}


def _survival(left: list[Departures]) -> Plot:
    """The share of waits that have had their outcome, by the time since the wait was opened."""
    points = kaplan_meier(left)
    if len(points) < 2:
        return Plot("")
    longest = left[-1].time
    samples = [Sample(0, 0.0, 0.0, 0.0)] + [
        Sample(
            1000 * point.time / longest,
            1 - point.probability,
            1 - min(1.0, point.probability + 1.96 * point.error),
            1 - max(0.0, point.probability - 1.96 * point.error),
        )
        for point in points
    ]
    labels = ["0", *(duration(longest * _HOUR * share / 4) for share in range(1, 5))]
    return lines(
        "Share of waits with an outcome by the time since they were opened, open waits counted as long as "
        "seen",
        [("has its outcome", "main", samples)],
        bounds=(0.0, 1.0),
        value_label=lambda value: percent(value, 0),
        x_labels=labels,
        steps=True,
        x_text=lambda x: duration(longest * _HOUR * x / WIDTH),
    )


__all__ = ["ALL_NAMES", "revision_bars", "score", "scores", "sums_of"]
