"""Receivers of alerts: those that refuse, that rules name and nobody has set up, and the remedies."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from upshot.errors import ConfigurationError
from upshot.insights.reader import Reader
from upshot.ops.doctor.finding import Finding, State
from upshot.receivers.configured import read_receivers
from upshot.settings import Settings

CHECK = "receivers"
#: Receivers and rules that are named at the most.
_NAMED = 5

_FARE = """
SELECT
    receiver,
    countIf(status = 'retrying') AS retrying,
    countIf(status = 'failed') AS failed,
    argMaxIf(error, changed_at, status IN ('retrying', 'failed')) AS error,
    maxIf(changed_at, status IN ('retrying', 'failed')) > maxIf(changed_at, status = 'sent') AS failing
FROM notices
WHERE changed_at > now64(6) - INTERVAL 4 DAY
GROUP BY receiver
ORDER BY receiver
"""
_NAMES = """
SELECT receiver, groupUniqArray(name) AS rules FROM alert_rules ARRAY JOIN notify AS receiver
WHERE enabled GROUP BY receiver ORDER BY receiver
"""


class ReceiverFare(NamedTuple):
    """Notices of one receiver over the last days; `failing`: the last try of all failed."""

    receiver: str
    retrying: int
    failed: int
    error: str
    failing: bool


def examine_receivers(reader: Reader, settings: Settings) -> Finding:
    """A single finding of all receivers together."""
    try:
        known = read_receivers(settings).by_name
    except ConfigurationError as error:
        return Finding(CHECK, "wrong", str(error), "correct the setting, and start the worker again")
    fares = [
        ReceiverFare(str(name), int(retrying), int(failed), str(error), failing in (True, 1, "1", "true"))
        for name, retrying, failed, error, failing in reader.query(_FARE).rows
    ]
    named = {str(name): [str(rule) for rule in rules] for name, rules in reader.query(_NAMES).rows}
    return receivers(known, named, fares)


def receivers(
    known: Collection[str], named: Mapping[str, Sequence[str]], fares: Sequence[ReceiverFare]
) -> Finding:
    """The worst first, each with its remedy."""
    lines: list[tuple[State, str, str]] = []
    if unknown := {name: rules for name, rules in named.items() if name not in known}:
        listed = ", ".join(
            f"{name} (of {', '.join(sorted(rules)[:_NAMED])})"
            for name, rules in list(unknown.items())[:_NAMED]
        )
        lines.append(
            (
                "wrong",
                f"rules name receivers that aren't set up here: {listed}",
                "set UPSHOT_RECEIVERS for worker and doctor, or correct the rules: upshot alerts list",
            )
        )
    for fare in fares:
        if fare.failing and fare.receiver in known:
            count = f"{fare.retrying:,} notices wait, {fare.failed:,} were given up"
            lines.append(
                ("wrong", f"{fare.receiver} {fare.error}: {count}", f"upshot alerts ping {fare.receiver}")
            )
    if not lines and (given_up := sum(fare.failed for fare in fares)):
        found = f"{given_up:,} notices were given up in the last days"
        lines.append(("notice", found, "upshot alerts notices --failed"))
    if lines:
        state, _, to_do = lines[0]
        return Finding(CHECK, state, "; ".join(found for _, found, _ in lines[:_NAMED]), to_do)
    listed = ", ".join(sorted(known)[:_NAMED]) + (" …" if len(known) > _NAMED else "")
    return Finding(CHECK, "fine", listed or "none")


__all__ = ["CHECK", "ReceiverFare", "examine_receivers", "receivers"]
