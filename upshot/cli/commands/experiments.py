"""`upshot experiments`: results of experiments, and the size they need."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Annotated

import typer

from upshot.cli.exits import Exit
from upshot.cli.options import DataDir, Json, client_settings
from upshot.cli.terminal import note, say, say_json
from upshot.errors import ConfigurationError, KafkaUnavailable
from upshot.insights.experiments.sizing import StatedSize, needed
from upshot.insights.reader import Reader
from upshot.settings import Settings, local_viewer

RESULTS_EXAMPLES = (
    "upshot experiments results reply-tone",
    "upshot experiments results reply-tone --as-of 2026-06-01 --json",
    "upshot experiments results reply-tone --by tier",
    "upshot experiments results reply-tone --adjust-by visits",
    "upshot experiments results old-test --control plain --decide solved:rate:P7D --guard cost_usd:mean:+10%",
)
POWER_EXAMPLES = (
    "upshot experiments power --rate 40% --mde 5%",
    "upshot experiments power --mean 0.12 --deviation 0.3 --mde 0.02 --weights 9,1",
)
_EXITS = {"decided": Exit.OK, "stopped": Exit.STOPPED, "open": Exit.UNDECIDED, "unsafe": Exit.UNDECIDED}

#: Seconds to wait for the rows of facts that are stored already.
_PATIENCE = 15.0

Named = Annotated[str, typer.Argument(help="The experiment.", metavar="NAME")]


def results(
    name: Named,
    as_of: Annotated[
        str | None,
        typer.Option("--as-of", help="An instant or a day, in UTC where no offset is given.", metavar="T"),
    ] = None,
    by: Annotated[
        str | None,
        typer.Option(help="An attribute of the runs, for results by its values.", metavar="ATTRIBUTE"),
    ] = None,
    control: Annotated[
        str | None,
        typer.Option(
            help="The variant compared with, for an experiment that the registry lacks.", metavar="V"
        ),
    ] = None,
    decide: Annotated[
        list[str] | None,
        typer.Option(help="A further metric: NAME:rate:P7D or NAME:mean:P7D.", metavar="METRIC"),
    ] = None,
    guard: Annotated[
        list[str] | None, typer.Option(help="A guardrail: NAME:mean:+10%.", metavar="METRIC")
    ] = None,
    judge: Annotated[
        str | None,
        typer.Option(help="An immediate score, to be compared with what happened later.", metavar="SCORE"),
    ] = None,
    adjust: Annotated[
        bool,
        typer.Option("--adjust", help="Also the differences less what the units' earlier outcomes explain."),
    ] = False,
    adjust_by: Annotated[
        str | None,
        typer.Option(
            "--adjust-by",
            help="The same by an attribute of the runs: a number known before the exposure.",
            metavar="ATTRIBUTE",
        ),
    ] = None,
    as_json: Json = False,
    data_dir: DataDir = None,
) -> None:
    """Compare an experiment's variants on what happened next.

    Only units whose time is up are compared; looking every day is safe. Ends with 0 once the experiment is
    decided, with 3 while it isn't, and with 4 where the units of the variants don't fit their weights.
    """
    from upshot.cli import experiment_report
    from upshot.insights.experiments.adjusting import adjustment
    from upshot.insights.experiments.delays import delays
    from upshot.insights.experiments.judging import judgement
    from upshot.insights.experiments.population import population
    from upshot.insights.experiments.reading import read_results
    from upshot.insights.experiments.registry import observed_plan, parse_metric, read_plan, with_metrics
    from upshot.insights.experiments.report import (
        adjustment_json,
        delays_json,
        judgement_json,
        metric_json,
        results_json,
    )
    from upshot.insights.experiments.results import segments, shown
    from upshot.insights.experiments.verdict import verdict as judged

    settings = client_settings(data_dir)
    reader = Reader(local_viewer(settings))
    asked = [parse_metric(text) for text in decide or []]
    asked += [parse_metric(text, guardrail=True) for text in guard or []]
    at = written_as_of(reader, known_as_of(settings, as_of))
    plan = read_plan(reader, name, at) or observed_plan(reader, name, at, control)
    plan = with_metrics(plan, asked)
    if not plan.metrics:
        raise ConfigurationError(
            f"the experiment {name} has no metric: name a score, as in  --decide solved:rate:P7D"
        )
    found = read_results(reader, plan, at)
    verdict = judged(found)
    deciding = plan.deciding or plan.metrics[0]
    parts = segments(plan, population(reader, plan, deciding, at, by)) if by else {}
    calibrated = judgement(reader, plan, deciding, judge, at) if judge else None
    taken = delays(reader, plan, next(each for each in found.metrics if each.metric == deciding).population)
    adjusted = [adjustment(reader, plan, deciding, at)] if adjust else []
    if adjust_by:
        adjusted.append(adjustment(reader, plan, deciding, at, adjust_by))
    if as_json:
        whole = results_json(found, verdict)
        if calibrated:
            whole["judge"] = judgement_json(calibrated)
        if taken:
            whole["time_to_outcome"] = delays_json(taken)
        for each in adjusted:
            key = "adjusted_by" if each.attribute else "adjusted"
            whole[key] = adjustment_json(each)
        if by:
            whole["by"] = {segment: metric_json(each) for segment, each in parts.items()}
        say_json(whole)
    else:
        experiment_report.print_results(found, verdict)
        if by:
            experiment_report.print_segments(by, parts, shown(parts, plan.alpha))
        if calibrated:
            experiment_report.print_judgement(calibrated)
        for each in adjusted:
            experiment_report.print_adjustment(each)
        if taken:
            experiment_report.print_delays(taken)
    code = _EXITS.get(verdict.state, Exit.UNDECIDED)
    if code:
        raise typer.Exit(code)


def power(
    mde: Annotated[
        str, typer.Option(help="The smallest effect worth finding: 5% for points, or a number.", metavar="D")
    ],
    rate: Annotated[str | None, typer.Option(help="The control's rate, such as 40%.", metavar="R")] = None,
    mean: Annotated[float | None, typer.Option(help="The control's mean.", metavar="M")] = None,
    deviation: Annotated[
        float | None, typer.Option(help="The standard deviation of a unit's value.", metavar="S")
    ] = None,
    weights: Annotated[str, typer.Option(help="Weights of control and variants.", metavar="W,W")] = "1,1",
    per_day: Annotated[
        float | None,
        typer.Option("--per-day", help="Units that arrive a day, for the time needed.", metavar="N"),
    ] = None,
    alpha: Annotated[float, typer.Option(help="The error allowed, over all looks together.")] = 0.05,
    chance: Annotated[float, typer.Option("--power", help="The chance of finding the effect.")] = 0.8,
    as_json: Json = False,
) -> None:
    """Compute how many units an experiment needs.

    The number is for daily looks; the number for a single look at the end stands beside it.
    """
    stated = StatedSize(mde, rate or "", mean, deviation, weights, per_day, alpha, chance)
    found = needed(stated)
    if as_json:
        say_json({"units": found.daily, "units_for_one_look": found.once, "days": found.days})
        return
    say(f"{found.daily:,} units in all, looking daily; {found.once:,} for a single look at the end")
    if found.days is not None:
        at_rate = f"{found.days:,.1f} days at {per_day:,g} units a day"
        say(f"{at_rate}, and the window until the last of them is mature")


def known_as_of(settings: Settings, text: str | None = None) -> datetime:
    """The instant asked for, or the present one; not after what the join and the store have read."""
    now = datetime.now(UTC)
    asked = _instant(text) if text else now
    read = asyncio.run(_read_up_to(settings, now))
    if read is None:
        note("Kafka does not answer: results hold up to what the store had written")
        return asked
    if read < asked:
        note(
            f"results are as of {read:%Y-%m-%d %H:%M:%S} UTC: later records are not read yet", style="yellow"
        )
    return min(asked, read)


def written_as_of(reader: Reader, at: datetime) -> datetime:
    """The instant, or the latest earlier one by which the rows of results are written; then it is printed."""
    from upshot.insights.experiments.written_rows import read_by_soon

    written = read_by_soon(reader, at, _PATIENCE)
    if written < at:
        note(
            f"results are as of {written:%Y-%m-%d %H:%M:%S} UTC: the worker materialize has not written the "
            "rows of later facts yet",
            style="yellow",
        )
    return written


async def _read_up_to(settings: Settings, now: datetime) -> datetime | None:
    from upshot.processors.ledger import read_up_to

    try:
        return await read_up_to(settings, now)
    except KafkaUnavailable:
        return None


def _instant(text: str) -> datetime:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise ConfigurationError(
            f"--as-of is an instant such as 2026-06-01T12:00Z or a day such as 2026-06-01, not {text!r}"
        ) from None
    return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)


__all__ = ["POWER_EXAMPLES", "RESULTS_EXAMPLES", "known_as_of", "power", "results", "written_as_of"]
