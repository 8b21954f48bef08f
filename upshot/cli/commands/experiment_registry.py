"""`upshot experiments list|show|start|set|stop|ship|verify`: the registry, from the command line."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated

import typer

from upshot.cli.commands.experiments import known_as_of, written_as_of
from upshot.cli.exits import Exit
from upshot.cli.options import DataDir, Json, client_settings
from upshot.cli.sending import send_events
from upshot.cli.terminal import note, say, say_json, say_table
from upshot.errors import ConfigurationError, UpshotError
from upshot.experiments.changes import ramped, reweighted, shipped, started, stopped
from upshot.experiments.layers import check_layer
from upshot.insights.experiments.drafting import StatedExperiment, drafted, parse_share, parse_weights
from upshot.insights.experiments.verify import verified
from upshot.insights.reader import Reader
from upshot.registry.records import record_event, record_of, registered
from upshot.schemas.experiments import Experiment
from upshot.settings import Settings, local_viewer
from upshot.streams.events.topics import TOPICS

LIST_EXAMPLES = ("upshot experiments list", "upshot experiments list --json")
SHOW_EXAMPLES = ("upshot experiments show reply-tone", "upshot experiments show reply-tone --json")
START_EXAMPLES = (
    "upshot experiments start reply-tone --control plain --variants plain=1,warm=1 --unit user "
    "--decide solved:rate:P7D --guard cost_usd:mean:+10% --traffic 20%",
)
SET_EXAMPLES = (
    "upshot experiments set reply-tone --traffic 50%",
    "upshot experiments set reply-tone --variants plain=1,warm=3 --reason 'nothing broke' --yes",
)
STOP_EXAMPLES = ("upshot experiments stop reply-tone --reason 'complaints'",)
SHIP_EXAMPLES = ("upshot experiments ship reply-tone warm --reason '+4.8 points on solved'",)
VERIFY_EXAMPLES = ("upshot experiments verify reply-tone",)

Named = Annotated[str, typer.Argument(help="The experiment.", metavar="NAME")]
Reason = Annotated[str, typer.Option(help="Why; the registry keeps the reason.", metavar="TEXT")]
Weights = Annotated[str | None, typer.Option(help="Variants and their weights.", metavar="NAME=WEIGHT,…")]
Traffic = Annotated[str | None, typer.Option(help="The share of units in the experiment.", metavar="SHARE")]


def list_(as_json: Json = False, data_dir: DataDir = None) -> None:
    """List the experiments of the registry, the latest change first."""
    found = sorted(
        registered(client_settings(data_dir)).values(), key=lambda one: one.changed_at, reverse=True
    )
    if as_json:
        say_json([_plain(record) for record in found])
        return
    rows = [
        [one.experiment, one.status, one.phase, _weights(one.variants), f"{one.traffic:.0%}", one.changed_at]
        for one in found
    ]
    columns = ("experiment", "status", "phase", "variants", "traffic", "changed_at")
    say_table(columns, rows, empty="the registry has no experiments")


def show(name: Named, as_json: Json = False, data_dir: DataDir = None) -> None:
    """Show an experiment's record: the whole truth, its past phases included."""
    settings = client_settings(data_dir)
    record = record_of(settings, name)
    if as_json:
        say_json(_plain(record))
        return
    say(_summary(record))
    say(f"control {record.control or 'not named'}, unit {record.unit}, strategy {record.strategy}")
    for metric in record.metrics:
        say(f"{metric.role}: {metric.name} ({metric.kind})")
    for phase in record.all_phases:
        since = f"{phase.started_at:%Y-%m-%d %H:%M}"
        say(f"phase {phase.phase} since {since}: {_weights(phase.weights)}  {phase.reason}")
    if record.shipped is not None:
        say(f"shipped {record.shipped.variant}: {record.shipped.reason}")
        _say_agreement(settings, record, record.shipped.variant)


def _say_agreement(settings: Settings, record: Experiment, variant: str) -> None:
    """Whether units that have become mature since the decision agree; a note where the store is away."""
    from upshot.insights.experiments.reading import read_results  # statistics: few commands load them
    from upshot.insights.experiments.registry import plan_of, since_start
    from upshot.insights.experiments.verdict import agreement, verdict

    try:
        reader = Reader(local_viewer(settings))
        at = written_as_of(reader, known_as_of(settings))
        plan = since_start(reader, plan_of(record), at)
        if plan.metrics:
            say(agreement(variant, verdict(read_results(reader, plan, at))))
    except UpshotError as error:
        note(f"whether later units agree isn't known now: {error}")


def start(
    name: Named,
    control: Annotated[str, typer.Option(help="The variant compared with.", metavar="VARIANT")],
    variants: Annotated[str, typer.Option(help="Variants and their weights.", metavar="NAME=WEIGHT,…")],
    unit: Annotated[str, typer.Option(help="The kind of randomised unit.", metavar="KIND")] = "run",
    decide: Annotated[list[str] | None, typer.Option(help="A metric to decide on: NAME:rate:P7D.")] = None,
    guard: Annotated[list[str] | None, typer.Option(help="A guardrail: NAME:mean:+10%.")] = None,
    mde: Annotated[float | None, typer.Option(help="The least effect worth finding.")] = None,
    planned: Annotated[
        int | None, typer.Option(help="Units planned, see `upshot experiments power`.")
    ] = None,
    alpha: Annotated[float, typer.Option(help="The error allowed, over all looks together.")] = 0.05,
    traffic: Traffic = None,
    audience: Annotated[str | None, typer.Option(help="A JMESPath over the run's facts.")] = None,
    layer: Annotated[
        list[str] | None,
        typer.Option(
            help="The experiment's slots in a layer, 0 to 1000: experiments with slots apart share no unit.",
            metavar="NAME:FIRST-AFTER",
        ),
    ] = None,
    holdout: Annotated[
        str | None,
        typer.Option(help="A holdout to be respected, with its share of units.", metavar="NAME:SHARE"),
    ] = None,
    adaptive: Annotated[
        bool,
        typer.Option(
            "--adaptive", help="Weights follow the mature outcomes, see UPSHOT_ALLOCATION_INTERVAL."
        ),
    ] = False,
    cap: Annotated[
        str | None, typer.Option(help="How long the experiment may run: P28D.", metavar="DURATION")
    ] = None,
    reason: Reason = "",
    as_json: Json = False,
    data_dir: DataDir = None,
) -> None:
    """Start an experiment: agents follow within seconds, without a deploy.

    Metrics, alpha, cap and the planned units are fixed from here on. Without --planned the units follow from
    --mde, for a rate of 50%, which needs the most.
    """
    settings, now = client_settings(data_dir), datetime.now(UTC)
    known = registered(settings, name)
    before = known.get(name)
    if before is not None and before.status != "draft":
        raise ConfigurationError(
            f"{name} is {before.status} already; nothing was changed: choose another name"
        )
    stated = StatedExperiment(
        name=name, control=control, variants=variants, unit=unit, decide=decide or [], guard=guard or [],
        mde=mde, planned=planned, alpha=alpha, traffic=traffic or "1", audience=audience, layer=layer or [],
        holdout=holdout, adaptive=adaptive, cap=cap, reason=reason,
    )  # fmt: skip
    record = drafted(stated, now)
    check_layer(record, known.values())
    _send(settings, started(record, now), as_json=as_json)


def set_(
    name: Named,
    variants: Weights = None,
    traffic: Traffic = None,
    reason: Reason = "",
    yes: Annotated[bool, typer.Option("--yes", help="Don't ask before a phase is opened.")] = False,
    as_json: Json = False,
    data_dir: DataDir = None,
) -> None:
    """Set weights or traffic. Other weights open a phase: results of phases are never pooled."""
    settings, now = client_settings(data_dir), datetime.now(UTC)
    if (variants is None) == (traffic is None):
        raise ConfigurationError("set takes either --variants or --traffic; nothing was changed")
    record = record_of(settings, name)
    if variants is None:
        changed = ramped(record, parse_share(traffic or "1"), now, reason)
    else:
        changed = reweighted(record, parse_weights(variants), now, reason)
        if not yes and not typer.confirm(f"Other weights open phase {changed.phase} of {name}. Go on?"):
            raise typer.Exit(Exit.REFUSED)
    _send(settings, changed, as_json=as_json)


def stop(name: Named, reason: Reason = "", as_json: Json = False, data_dir: DataDir = None) -> None:
    """Stop an experiment: all units get the control without an exposure; the rest matures and counts."""
    settings = client_settings(data_dir)
    _send(settings, stopped(record_of(settings, name), datetime.now(UTC), reason), as_json=as_json)


def ship(
    name: Named,
    variant: Annotated[str, typer.Argument(help="The winner.", metavar="VARIANT")],
    reason: Annotated[str, typer.Option(help="Why; the registry keeps the reason.", metavar="TEXT")],
    as_json: Json = False,
    data_dir: DataDir = None,
) -> None:
    """Ship a variant: all units get the winner; the reason and the results of this moment are kept."""
    from upshot.insights.experiments.report import results_of  # statistics: no other command loads them

    settings, now = client_settings(data_dir), datetime.now(UTC)
    record = record_of(settings, name)
    reader = Reader(local_viewer(settings))
    found = results_of(reader, record, written_as_of(reader, known_as_of(settings)))
    _send(settings, shipped(record, variant, now, reason, found), as_json=as_json)


def verify(name: Named, as_json: Json = False, data_dir: DataDir = None) -> None:
    """Compute stored assignments again in SQL; ends with 1 where any differs."""
    found = verified(Reader(local_viewer(client_settings(data_dir))), name)
    if as_json:
        say_json([vars(one) for one in found])
    else:
        columns = ("phase", "variant", "exposures", "agree", "in_registry")
        rows = [[getattr(one, column) for column in columns] for one in found]
        say_table(columns, rows, empty=f"{name} has no exposures assigned by the hash")
    if any(one.agree != one.exposures for one in found):
        raise typer.Exit(Exit.REFUSED)


def _send(settings: Settings, record: Experiment, *, as_json: bool) -> None:
    asyncio.run(send_events(settings, TOPICS["experiments"], [record_event(record)]))
    if as_json:
        say_json(_plain(record))
    else:
        say(_summary(record))


def _summary(record: Experiment) -> str:
    about = f"{record.status}, phase {record.phase}, {_weights(record.variants)}"
    return f"{record.experiment}: {about}, traffic {record.traffic:.0%}"


def _weights(weights: Mapping[str, float]) -> str:
    return ", ".join(f"{name}={weight:g}" for name, weight in weights.items())


_plain = functools.partial(Experiment.model_dump, mode="json", exclude_unset=True)

__all__ = [
    "LIST_EXAMPLES", "SET_EXAMPLES", "SHIP_EXAMPLES", "SHOW_EXAMPLES", "START_EXAMPLES", "STOP_EXAMPLES",
    "VERIFY_EXAMPLES", "list_", "set_", "ship", "show", "start", "stop", "verify",
]  # fmt: skip
