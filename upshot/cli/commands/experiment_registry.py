"""`upshot experiments list|show|start|set|stop|ship|verify`: the registry, from the command line."""

from __future__ import annotations

import asyncio
import functools
import threading
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from math import ceil
from typing import Annotated, Any

import typer
from pydantic import ValidationError

from upshot.cli.commands.experiments import known_as_of
from upshot.cli.exits import Exit
from upshot.cli.options import DataDir, Json, client_settings
from upshot.cli.sending import send_events
from upshot.cli.terminal import say, say_json, say_table
from upshot.errors import ConfigurationError, KafkaUnavailable
from upshot.experiments.changes import ramped, reweighted, shipped, started, stopped
from upshot.insights.experiments.registry import parse_metric
from upshot.insights.experiments.verify import verified
from upshot.insights.reader import Reader
from upshot.insights.statistics.power import units_needed
from upshot.schemas.experiments import Experiment
from upshot.sdk.registry_reader import RegistryReader
from upshot.settings import Settings, local_viewer
from upshot.streams.events.outgoing import OutgoingEvent
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
_PATIENCE = 15.0


def list_(as_json: Json = False, data_dir: DataDir = None) -> None:
    """List the experiments of the registry, the latest change first."""
    found = sorted(
        _registered(client_settings(data_dir)).values(), key=lambda one: one.changed_at, reverse=True
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
    record = _record(client_settings(data_dir), name)
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
    reason: Reason = "",
    as_json: Json = False,
    data_dir: DataDir = None,
) -> None:
    """Start an experiment: agents follow within seconds, without a deploy.

    Metrics, alpha and the planned units are fixed from here on. Without --planned the units follow from
    --mde, for a rate of 50%, which needs the most.
    """
    settings, now = client_settings(data_dir), datetime.now(UTC)
    before = _registered(settings).get(name)
    if before is not None and before.status != "draft":
        raise ConfigurationError(
            f"{name} is {before.status} already; nothing was changed: choose another name"
        )
    weights = _parsed(variants)
    metrics = [_metric(text, guardrail=False) for text in decide or []]
    metrics += [_metric(text, guardrail=True) for text in guard or []]
    stated: dict[str, Any] = {
        "experiment": name, "control": control, "variants": weights, "unit": unit, "metrics": metrics,
        "strategy": "weighted" if unit == "run" else "bucket", "mde": mde,
        "planned_units": planned or _planned(metrics, weights, control, mde, alpha),
        "alpha": alpha, "traffic": _share(traffic or "1"), "audience": audience, "reason": reason,
        "layer": _layer(layer or []), "holdout": _holdout(holdout),
        "status": "draft", "changed_at": now,
    }  # fmt: skip
    if not sum(weights.values()) > 0:
        raise ConfigurationError("at least one variant needs a weight above zero; nothing was changed")
    try:
        record = Experiment.model_validate(stated)
    except ValidationError as error:
        raise ConfigurationError(
            f"{name} can't be started: {error.errors()[0]['msg']}; nothing was changed"
        ) from None
    _send(settings, started(record, now), as_json=as_json)


def _planned(
    metrics: Sequence[Mapping[str, Any]],
    weights: Mapping[str, float],
    control: str,
    mde: float | None,
    alpha: float,
) -> int | None:
    """The units that a rate of 50% needs; None where no rate decides, or no effect was named."""
    others = [weight for name, weight in weights.items() if name != control and weight > 0]
    decides_on_rate = bool(metrics) and metrics[0]["role"] == "decision" and metrics[0]["kind"] == "rate"
    if not mde or not decides_on_rate or not others or weights.get(control, 0.0) <= 0:
        return None
    pair = (weights[control], min(others))
    needed = units_needed((0.25, 0.25), pair, mde, alpha)
    return ceil(needed * sum(weights.values()) / sum(pair))


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
    record = _record(settings, name)
    if variants is None:
        changed = ramped(record, _share(traffic or "1"), now, reason)
    else:
        changed = reweighted(record, _parsed(variants), now, reason)
        if not yes and not typer.confirm(f"Other weights open phase {changed.phase} of {name}. Go on?"):
            raise typer.Exit(Exit.REFUSED)
    _send(settings, changed, as_json=as_json)


def stop(name: Named, reason: Reason = "", as_json: Json = False, data_dir: DataDir = None) -> None:
    """Stop an experiment: all units get the control without an exposure; the rest matures and counts."""
    settings = client_settings(data_dir)
    _send(settings, stopped(_record(settings, name), datetime.now(UTC), reason), as_json=as_json)


def ship(
    name: Named,
    variant: Annotated[str, typer.Argument(help="The winner.", metavar="VARIANT")],
    reason: Annotated[str, typer.Option(help="Why; the registry keeps the reason.", metavar="TEXT")],
    as_json: Json = False,
    data_dir: DataDir = None,
) -> None:
    """Ship a variant: all units get the winner; the reason and the results of this moment are kept."""
    settings, now = client_settings(data_dir), datetime.now(UTC)
    record = _record(settings, name)
    found = _results(settings, record, known_as_of(settings))
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


def _registered(settings: Settings) -> Mapping[str, Experiment]:
    """The topic's records as they stand: the store may be behind. Raises KafkaUnavailable."""
    found: dict[str, Experiment] = {}
    read = threading.Event()

    def take(records: Mapping[str, Experiment]) -> None:
        found.update(records)
        read.set()

    reader = RegistryReader(settings, take)
    reader.start()
    try:
        if not read.wait(_PATIENCE):
            raise KafkaUnavailable(
                f"the topic {settings.topic('experiments')} at {settings.kafka_url} gives no answer; "
                "nothing was changed"
            )
    finally:
        reader.close()
    return found


def _record(settings: Settings, name: str) -> Experiment:
    known = _registered(settings)
    if name not in known:
        have = ", ".join(sorted(known)[:10]) or "none"
        raise ConfigurationError(
            f"the registry has no experiment {name!r} (it has: {have}); nothing was changed"
        )
    return known[name]


def _send(settings: Settings, record: Experiment, *, as_json: bool) -> None:
    value = record.model_dump_json(exclude_unset=True).encode()
    event = OutgoingEvent("experiments", record.experiment, value)
    asyncio.run(send_events(settings, TOPICS["experiments"], [event]))
    if as_json:
        say_json(_plain(record))
    else:
        say(_summary(record))


def _results(settings: Settings, record: Experiment, now: datetime) -> Mapping[str, Any]:
    """The results of this moment, as `upshot experiments results --json` has them; none without metrics."""
    from upshot.cli import experiment_report
    from upshot.insights.experiments.reading import read_results
    from upshot.insights.experiments.registry import plan_of
    from upshot.insights.experiments.verdict import verdict as judged

    plan = plan_of(record)
    if not plan.metrics:
        return {}
    found = read_results(Reader(local_viewer(settings)), plan, now)
    whole: Mapping[str, Any] = experiment_report.results_json(found, judged(found))
    return whole


def _metric(text: str, *, guardrail: bool) -> dict[str, Any]:
    metric = parse_metric(text, guardrail=guardrail)
    return {
        "name": metric.name,
        "kind": "rate" if metric.boolean else "mean",
        "role": metric.use,
        "better": "lower" if metric.lower_is_better else "higher",
        "window": metric.window or None,
        "grace": metric.grace,
        "margin": metric.margin or None,
    }


def _parsed(text: str) -> dict[str, float]:
    found: dict[str, float] = {}
    for pair in filter(None, text.split(",")):
        name, equals, weight = (piece.strip() for piece in pair.partition("="))
        try:
            found[name] = float(weight if equals else "1")
        except ValueError:
            raise ConfigurationError(
                f"write NAME=WEIGHT,… such as plain=9,warm=1, not {text!r:.100}"
            ) from None
    return found


def _layer(texts: Sequence[str]) -> dict[str, Any] | None:
    """`support:0-500`, once for each range of slots."""
    slots: list[tuple[int, int]] = []
    names: set[str] = set()
    for text in texts:
        name, _, range_ = text.rpartition(":")
        first, _, after = range_.partition("-")
        if not (name and first.isdecimal() and after.isdecimal() and len(range_) < 10):
            raise ConfigurationError(
                f"--layer is a layer with a range of slots, such as support:0-500, not {text!r:.100}; "
                "nothing was changed"
            )
        names.add(name)
        slots.append((int(first), int(after)))
    if len(names) > 1:
        raise ConfigurationError(
            "an experiment lies in one layer: give --layer one name; nothing was changed"
        )
    return {"name": names.pop(), "slots": slots} if slots else None


def _holdout(text: str | None) -> dict[str, Any] | None:
    if text is None:
        return None
    name, colon, share = text.partition(":")
    if not name or not colon:
        raise ConfigurationError(f"--holdout is written global:5%, not {text!r:.100}; nothing was changed")
    return {"name": name, "share": _share(share, "--holdout")}


def _share(text: str, option: str = "--traffic") -> float:
    try:
        share = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise ConfigurationError(
            f"{option} is a share such as 20% or 0.2, not {text!r:.100}; nothing was changed"
        )
    return share


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
