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
from upshot.insights.reader import Reader
from upshot.settings import Settings, local_viewer

RESULTS_EXAMPLES = (
    "upshot experiments results reply-tone",
    "upshot experiments results reply-tone --as-of 2026-06-01 --json",
    "upshot experiments results reply-tone --by tier",
    "upshot experiments results old-test --control plain --decide solved:rate:P7D --guard cost_usd:mean:+10%",
)
POWER_EXAMPLES = (
    "upshot experiments power --rate 40% --mde 5%",
    "upshot experiments power --mean 0.12 --deviation 0.3 --mde 0.02 --weights 9,1",
)
_EXITS = {"decided": Exit.OK, "stopped": Exit.STOPPED, "open": Exit.UNDECIDED, "unsafe": Exit.UNDECIDED}

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
    as_json: Json = False,
    data_dir: DataDir = None,
) -> None:
    """Compare an experiment's variants on what happened next.

    Only units whose time is up are compared; looking every day is safe. Ends with 0 once the experiment is
    decided, with 3 while it isn't, and with 4 where the units of the variants don't fit their weights.
    """
    from upshot.cli import experiment_report
    from upshot.insights.experiments.judging import judgement
    from upshot.insights.experiments.population import population
    from upshot.insights.experiments.reading import read_results
    from upshot.insights.experiments.registry import observed_plan, parse_metric, read_plan, with_metrics
    from upshot.insights.experiments.results import segments, shown
    from upshot.insights.experiments.verdict import verdict as judged

    settings = client_settings(data_dir)
    reader = Reader(local_viewer(settings))
    asked = [parse_metric(text) for text in decide or []]
    asked += [parse_metric(text, guardrail=True) for text in guard or []]
    at = known_as_of(settings, as_of)
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
    if as_json:
        whole = experiment_report.results_json(found, verdict)
        if calibrated:
            whole["judge"] = experiment_report.judgement_json(calibrated)
        if by:
            whole["by"] = {segment: experiment_report.metric_json(each) for segment, each in parts.items()}
        say_json(whole)
    else:
        experiment_report.print_results(found, verdict)
        if by:
            experiment_report.print_segments(by, parts, shown(parts, plan.alpha))
        if calibrated:
            experiment_report.print_judgement(calibrated)
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
    from upshot.insights.statistics.power import units_for_one_look, units_needed

    effect, shares = _number(mde, "--mde"), [_number(part, "--weights") for part in weights.split(",")]
    if len(shares) < 2 or min(shares) <= 0:
        raise ConfigurationError("--weights needs two or more weights above zero, such as 1,1")
    if not 0 < alpha < 0.5 or not 0 < chance < 1 or effect <= 0:
        raise ConfigurationError("--alpha lies between 0 and 0.5, --power between 0 and 1, --mde above 0")
    variances = _variances(rate, mean, deviation, effect)
    pair = (shares[0], min(shares[1:]))
    scale = sum(shares) / sum(pair)
    daily = round(scale * units_needed(variances, pair, effect, alpha, chance))
    once = round(scale * units_for_one_look(variances, pair, effect, alpha, chance))
    days = daily / per_day if per_day else None
    if as_json:
        say_json({"units": daily, "units_for_one_look": once, "days": days})
        return
    say(f"{daily:,} units in all, looking daily; {once:,} for a single look at the end")
    if days is not None:
        say(f"{days:,.1f} days at {per_day:,g} units a day, and the window until the last of them is mature")


def _variances(
    rate: str | None, mean: float | None, deviation: float | None, effect: float
) -> tuple[float, float]:
    if rate is not None:
        p = _number(rate, "--rate")
        if not 0 < p < 1 or not 0 < p + effect < 1:
            raise ConfigurationError("--rate and --rate plus --mde lie between 0% and 100%")
        return p * (1 - p), (p + effect) * (1 - p - effect)
    if mean is None or deviation is None or deviation <= 0:
        raise ConfigurationError("say --rate 40%, or --mean and --deviation above 0")
    return deviation**2, deviation**2


def _number(text: str, option: str) -> float:
    try:
        value = float(text.strip().removesuffix("%"))
    except ValueError:
        raise ConfigurationError(f"{option} is a number such as 0.05 or 5%, not {text!r}") from None
    return value / 100 if text.strip().endswith("%") else value


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


async def _read_up_to(settings: Settings, now: datetime) -> datetime | None:
    from upshot.ops.doctor.watermark import read_up_to

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


__all__ = ["POWER_EXAMPLES", "RESULTS_EXAMPLES", "known_as_of", "power", "results"]
