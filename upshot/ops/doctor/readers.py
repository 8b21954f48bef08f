"""How the workers' groups stand with their topics, and the causes of delays: reported alike by the doctor and
the web server.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from time import time
from typing import NamedTuple

from upshot.ops.doctor.words import span
from upshot.processors.roles import ROLES, roles_of
from upshot.settings import Settings
from upshot.streams.kafka.groups import Group, further_groups, group_states
from upshot.streams.kafka.standstill import Stuck, held_back
from upshot.streams.kafka.transactions import OpenTransaction, open_transactions

#: Seconds for which a transaction may be open before it is trouble: those of healthy producers are shorter.
OPEN_FOR = 10.0
#: Topics and partitions that are named at the most.
_SHOWN = 5


class Trouble(NamedTuple):
    """A fault, and its remedy."""

    found: str
    to_do: str


@dataclass(frozen=True)
class Readers:
    """The groups by role, and the transactions holding something back from any of them."""

    groups: Mapping[str, Group]
    transactions: Sequence[OpenTransaction] = ()


async def look_at_readers(settings: Settings) -> Readers:
    """Ask for all groups: the groups of every system, and of an app's roles where they run. Raises
    KafkaUnavailable.
    """
    apps = {settings.app_id("followups"): "followups"}
    sources = settings.app_id("sources") + "-"
    further = await further_groups(settings, lambda name: name in apps or name.startswith(sources))
    readers = read_by_roles(settings) | further
    roles = [
        *roles_of(settings),
        *(apps.get(name, name.removeprefix(settings.app_id(""))) for name in further),
    ]
    groups = dict(zip(roles, await group_states(settings, readers), strict=True))
    held = held_back(groups.values())
    return Readers(groups, await open_transactions(settings, held) if held else ())


def read_by_roles(settings: Settings) -> dict[str, list[str]]:
    """The consumer group of each role, and the full names of its topics."""
    return {
        settings.app_id(role): [settings.topic(topic) for topic in ROLES[role].reads]
        for role in roles_of(settings)
    }


def trouble_of(
    settings: Settings,
    role: str,
    group: Group,
    stuck: Sequence[Stuck] = (),
    transactions: Sequence[OpenTransaction] = (),
    now: float | None = None,
) -> Trouble | None:
    """The gravest obstacle keeping the workers of a role from reading on; None without an obstacle."""
    if not group.is_live:
        if group.members:
            return Trouble(f"its group {group.name} is {group.state}: just starting", "wait a few seconds")
        return Trouble(f"no worker reads as {group.name}", f"start  upshot worker --role {role}")
    if group.missing:
        return Trouble(
            f"{_named(group.missing)} {'are' if len(group.missing) > 1 else 'is'} missing: nothing is read "
            "there, and no deadline with a possible answer there is evaluated",
            "upshot migrate makes it as it is declared; nothing that lies in the other topics is lost",
        )
    return (
        _ownerless(role, group)
        or _lost(group)
        or _held_back(settings, group, transactions, time() if now is None else now)
        or _stuck(role, group, stuck)
    )


def _ownerless(role: str, group: Group) -> Trouble | None:
    if not group.ownerless:
        return None
    names = _named([f"{tp.topic}/{tp.partition}" for tp in group.ownerless])
    return Trouble(
        f"no worker has {names}: nobody reads there",
        f"restart the workers of role {role}, for a new assignment",
    )


def _lost(group: Group) -> Trouble | None:
    lost = {tp: standing for tp, standing in group.standings.items() if standing.lost}
    if not lost:
        return None
    tp, standing = max(lost.items(), key=lambda entry: entry[1].lost)
    return Trouble(
        f"{sum(one.lost for one in lost.values()):,} records were removed before they were read, most from "
        f"{tp.topic}/{tp.partition}/{standing.committed} on",
        "give the topic a longer retention, and send again what was lost",
    )


def _held_back(
    settings: Settings, group: Group, transactions: Sequence[OpenTransaction], now: float
) -> Trouble | None:
    for one in transactions:
        theirs = set(one.first) & set(held_back([group]))
        if theirs and now - one.began_at >= OPEN_FOR:
            return Trouble(one.about_transactions(now), one.to_do(settings.kafka_url))
    return None


def _stuck(role: str, group: Group, stuck: Sequence[Stuck]) -> Trouble | None:
    theirs = [one for one in stuck if one.group == group.name]
    if not theirs:
        return None
    first = next((one for one in theirs if not one.is_held), theirs[0])
    if first.is_held:
        return Trouble(
            f"an open transaction has held back what lies behind {first.place} for {span(first.seconds)}; "
            "the brokers don't tell whose it is",
            "give this user the right to describe transactions (brokers before Kafka 3.0 can't tell), or "
            "wait: they end it after their transaction.max.timeout.ms at the latest",
        )
    others = f" (and in {len(theirs) - 1} more partitions)" if len(theirs) > 1 else ""
    return Trouble(
        f"has stood for {span(first.seconds)} at {first.place}{others} with "
        f"{sum(one.lag for one in theirs):,} records to read",
        f"see the log of {role}, and that record: kafka-console-consumer.sh --topic {first.topic} "
        f"--partition {first.partition} --offset {first.offset} --max-messages 1; then end the worker, and "
        "it is started again there; nothing is lost",
    )


def _named(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


__all__ = [
    "OPEN_FOR",
    "Readers",
    "Trouble",
    "look_at_readers",
    "read_by_roles",
    "trouble_of",
]
