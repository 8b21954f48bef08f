"""`upshot alerts apply|list|show|backtest|mute|remove|test`: rules, and what they would have done."""

from __future__ import annotations

import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer

from upshot.alerts.files import NOTHING_CHANGED, merged, parse_rules
from upshot.alerts.messages import length, threshold_of, value_text
from upshot.alerts.mutes import is_muted, with_mute
from upshot.alerts.raised import raised
from upshot.cli.alert_registry import (
    check_rules,
    registered_rule,
    registered_rules,
    remove_rule,
    unknown_receivers,
    write_alert,
    write_rules,
)
from upshot.cli.commands.experiments import known_as_of
from upshot.cli.options import AppName, DataDir, Json, client_settings
from upshot.cli.terminal import note, say, say_json, say_table
from upshot.errors import ConfigurationError
from upshot.insights.reader import WORK_BYTES, Reader
from upshot.processors.alerts.backtest import Backtest, backtest
from upshot.schemas.alert_rules import AlertRule
from upshot.settings import Settings, local_viewer
from upshot.sources.loading import load_app
from upshot.streams.events.instants import micros

APPLY_EXAMPLES = ("upshot alerts apply rules.yaml", "upshot alerts apply --app support.app:app")
LIST_EXAMPLES = ("upshot alerts list", "upshot alerts list --json")
SHOW_EXAMPLES = ("upshot alerts show 'low helpfulness'",)
BACKTEST_EXAMPLES = (
    "upshot alerts backtest rules.yaml",
    "upshot alerts backtest 'low helpfulness' --since 30d",
)
MUTE_EXAMPLES = (
    "upshot alerts mute 'low helpfulness' --for 2h --reason 'being mended'",
    "upshot alerts mute 'low helpfulness' --off",
)
REMOVE_EXAMPLES = ("upshot alerts remove 'low helpfulness'",)
TEST_EXAMPLES = ("upshot alerts test 'low helpfulness'",)

RuleName = Annotated[str, typer.Argument(help="The rule.", metavar="NAME")]
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def apply(
    file: Annotated[Path | None, typer.Argument(help="Rules in YAML; - for stdin.", metavar="FILE")] = None,
    app: AppName = None,
    force: Annotated[
        bool, typer.Option("--force", help="Apply rules that could never fire so far, or fire far too often.")
    ] = False,
    as_json: Json = False,
    data_dir: DataDir = None,
) -> None:
    """Write rules to the registry: workers follow within a second. Nothing is written where one is wrong.

    Rules not in the file stay as they are; `enabled: false` switches one off. A rule's mute goes on.
    """
    now = datetime.now(UTC)
    rules = _of_app(app, now) if app and file is None else _of_file(file, now)
    settings = client_settings(data_dir)
    if not force and (wrong := check_rules(settings, _reader(settings), rules, known_as_of(settings))):
        raise ConfigurationError(
            "; ".join(wrong) + f"; {NOTHING_CHANGED}, --force applies the rules all the same"
        )
    unknown, present = unknown_receivers(settings, rules), registered_rules(settings)
    changed = [one for rule in rules if (one := merged(rule, present.get(rule.name))) is not None]
    if changed:
        write_rules(settings, changed)
    for name in unknown:
        note(
            f"the receiver {name} isn't set up here: its notices fail where no worker has it", style="yellow"
        )
    if as_json:
        say_json([_plain(rule) for rule in changed])
        return
    for rule in changed:
        say(f"{rule.name}: version {rule.version}, {rule.kind}, {threshold_of(rule)}")
    say(f"{len(changed)} rules written, {len(rules) - len(changed)} unchanged")


def list_(as_json: Json = False, data_dir: DataDir = None) -> None:
    """List the rules of the registry."""
    rules = sorted(registered_rules(client_settings(data_dir)).values(), key=lambda rule: rule.name)
    if as_json:
        say_json([_plain(rule) for rule in rules])
        return
    rows = [
        [rule.name, rule.kind, rule.score or "", threshold_of(rule), rule.severity, ", ".join(rule.notify),
         _standing(rule)]
        for rule in rules
    ]  # fmt: skip
    columns = ("rule", "kind", "score", "fires", "severity", "notify", "state")
    say_table(columns, rows, empty="there are no rules: upshot alerts apply rules.yaml")


def show(name: RuleName, as_json: Json = False, data_dir: DataDir = None) -> None:
    """Show a rule, and the last alerts that it raised."""
    settings = client_settings(data_dir)
    rule = registered_rule(settings, name)
    alerts = _reader(settings).query(
        "SELECT fired_at, state, changed_at, silent, message FROM alert_states "
        "WHERE name = {name:String} ORDER BY changed_at DESC LIMIT 20",
        {"name": name},
    )
    if as_json:
        say_json({"rule": _plain(rule), "alerts": alerts.objects()})
        return
    for field, value in _plain(rule).items():
        say(f"{field}: {value}")
    columns = [column.name for column in alerts.columns]
    say_table(columns, alerts.rows, empty="it has raised no alert so far")


def backtest_(
    rules: Annotated[str, typer.Argument(help="A file of rules, or a rule's name.", metavar="FILE|NAME")],
    since: Annotated[str, typer.Option(help="How far back: 7d, 12h.", metavar="LENGTH")] = "7d",
    as_json: Json = False,
    data_dir: DataDir = None,
) -> None:
    """Show when rules would have fired over the past, before they are trusted. Nothing is sent."""
    settings = client_settings(data_dir)
    until = known_as_of(settings)
    begin = until - _length(since, "--since")
    path = Path(rules)
    tried = _of_file(path, until) if path.is_file() else [registered_rule(settings, rules)]
    found = [backtest(settings, _reader(settings), rule, begin, until) for rule in tried]
    if as_json:
        say_json([_backtest_json(one) for one in found])
        return
    for one in found:
        _say_backtest(one, since)


def mute(
    name: RuleName,
    for_: Annotated[str, typer.Option("--for", help="How long: 2h, 7d.", metavar="LENGTH")] = "1h",
    reason: Annotated[str, typer.Option(help="Why; the registry keeps the reason.", metavar="TEXT")] = "",
    off: Annotated[bool, typer.Option("--off", help="End the mute.")] = False,
    data_dir: DataDir = None,
) -> None:
    """Mute a rule: its alerts are recorded, and nobody is notified. Ends of alerts still go out."""
    settings = client_settings(data_dir)
    rule, now = registered_rule(settings, name), datetime.now(UTC)
    changed = with_mute(rule, None if off else _length(for_, "--for"), reason, "mute", now)
    write_rules(settings, [changed])
    until = changed.muted_until
    say(f"{name} is muted until {until:%Y-%m-%d %H:%M} UTC" if until else f"{name} is not muted")


def remove(name: RuleName, data_dir: DataDir = None) -> None:
    """Remove a rule from the registry. Its open alerts about windows, waits and variants are resolved.

    `enabled: false` in a file switches a rule off, and keeps it.
    """
    settings = client_settings(data_dir)
    registered_rule(settings, name)
    remove_rule(settings, name)
    say(f"{name} is removed")


def test(name: RuleName, data_dir: DataDir = None) -> None:
    """Send a test alert to a rule's receivers: firing, and two seconds later resolved."""
    settings = client_settings(data_dir)
    rule = registered_rule(settings, name)
    if not rule.notify:
        raise ConfigurationError(f"{name} notifies nobody: give it `notify: [NAME]`; nothing was sent")
    begun = micros(datetime.now(UTC))
    about: dict[str, Any] = {"cause": f"test/{begun}", "system": settings.topic_prefix, "group": {}}
    facts: dict[str, Any] = {}
    if rule.kind == "score":
        facts = {"run_id": "test", "score_id": "test", "value": 0.0}
    tested = rule.model_copy(update={"muted_until": None, "message": f"test of the rule {rule.name}"})
    for state in ("firing", "resolved"):
        at = micros(datetime.now(UTC))
        alert = raised(tested, state, at=at, now=at, **about, **facts)
        write_alert(settings, alert)
        say(f"{state}: alert {alert.alert_id} to {', '.join(rule.notify)}")
        if state == "firing":
            time.sleep(2)


def _of_file(file: Path | None, now: datetime) -> list[AlertRule]:
    if file is None:
        raise ConfigurationError(f"name a file of rules, or --app MODULE:NAME; {NOTHING_CHANGED}")
    try:
        text = sys.stdin.read() if str(file) == "-" else file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{file} can't be read: {error}; {NOTHING_CHANGED}") from None
    return parse_rules(text, "stdin" if str(file) == "-" else file.name, now)


def _of_app(named: str, now: datetime) -> list[AlertRule]:
    rules: dict[str, AlertRule] = getattr(load_app(named), "alert_rules", {})
    if not rules:
        raise ConfigurationError(f"{named} declares no rules: app.alert(…); {NOTHING_CHANGED}")
    return [rule.model_copy(update={"changed_at": now, "changed_by": named}) for rule in rules.values()]


def _reader(settings: Settings) -> Reader:
    return Reader(local_viewer(settings), answer_bytes=WORK_BYTES)


def _length(text: str, option: str) -> timedelta:
    number, unit = text[:-1], text[-1:]
    if not number.isdigit() or unit not in _UNITS or not 0 < int(number) < 10_000:
        raise ConfigurationError(f"{option} is a length of time such as 30m, 12h or 7d, not {text!r}")
    return timedelta(**{_UNITS[unit]: int(number)})


def _standing(rule: AlertRule) -> str:
    if not rule.enabled:
        return "off"
    if is_muted(rule, datetime.now(UTC)):
        return f"muted until {rule.muted_until:%m-%d %H:%M}"
    return "on"


def _plain(rule: AlertRule) -> dict[str, Any]:
    return rule.model_dump(mode="json", exclude_none=True, exclude_defaults=True)


def _backtest_json(one: Backtest) -> dict[str, Any]:
    alerts = [
        {"fired_at": each.fired_at, "resolved_at": each.resolved_at, "value": each.value, **each.about}
        for each in one.alerts
    ]
    times = {"since": one.since, "until": one.until}
    return {"rule": one.rule.name, **times, "fired": one.fired, "alerts": alerts}


def _say_backtest(one: Backtest, since: str) -> None:
    rule = one.rule
    say(f"{rule.name} ({rule.kind}, {threshold_of(rule)}): would have fired {one.fired:,} times in {since}")
    if one.a_day > 24 * rule.cap:
        note(f"its cap of {rule.cap} an hour would have silenced most of them", style="yellow")
    rows = [
        [each.fired_at, "" if each.resolved_at is None else length(each.resolved_at - each.fired_at),
         value_text(each.value), ", ".join(f"{name} {value}" for name, value in each.about.items())]
        for each in one.alerts[-20:]
    ]  # fmt: skip
    if rows:
        say_table(("fired_at", "lasted", "value", "about"), rows)


__all__ = [
    "APPLY_EXAMPLES",
    "BACKTEST_EXAMPLES",
    "LIST_EXAMPLES",
    "MUTE_EXAMPLES",
    "REMOVE_EXAMPLES",
    "SHOW_EXAMPLES",
    "TEST_EXAMPLES",
    "apply",
    "backtest_",
    "list_",
    "mute",
    "remove",
    "show",
    "test",
]
