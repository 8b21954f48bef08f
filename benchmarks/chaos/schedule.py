"""What is done to the parts, and when: drawn from a seed. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from random import Random
from typing import Literal, NamedTuple

#: `kill`: SIGKILL, started again at once. `lose`: SIGKILL, away for some seconds. `wipe`: SIGKILL, and what
#: it kept on disk is deleted. `freeze`: SIGSTOP for some seconds. `throttle`: stopped most of the time for
#: some seconds. `fill`: its files can't grow for some seconds. `add`, `remove`: a worker comes, or ends
#: cleanly.
#: `cut`: its connections are closed and refused for some seconds. `hold`: nothing comes through in one
#: direction, and arrives late. `slow`: what it sends and gets takes its time. `burst`: many runs at once.
#: `calm`: nothing more, until scores flow again. `anew`: after a calm a topic is deleted that everybody has
#: read, and made again some seconds later, while the chaos goes on.
Kind = Literal[
    "kill",
    "lose",
    "wipe",
    "freeze",
    "throttle",
    "fill",
    "add",
    "remove",
    "cut",
    "hold",
    "slow",
    "burst",
    "calm",
    "anew",
]


class Action(NamedTuple):
    """Wait for `pause` seconds, then do it to `target`, for `seconds` where it lasts.

    `variant` (0 to 3) chooses between the links and directions of a network's trouble.
    """

    pause: float
    kind: Kind
    target: str
    seconds: float
    variant: int = 0


class Style(NamedTuple):
    """A stretch of chaos: how often what happens, from how many actions on to how many, and how often it
    comes.

    How often is always relative to the others.
    """

    weights: dict[Kind, int]
    actions: tuple[int, int]
    share: int


STYLES = {
    "barrage": Style({"kill": 20, "wipe": 2, "lose": 1}, (30, 60), 4),
    "storm": Style(
        {
            "kill": 12,
            "wipe": 2,
            "lose": 2,
            "freeze": 3,
            "throttle": 1,
            "fill": 1,
            "add": 2,
            "remove": 2,
            "cut": 1,
            "hold": 1,
            "slow": 1,
            "burst": 1,
        },
        (20, 40),
        3,
    ),
    "moving": Style({"kill": 6, "add": 4, "remove": 4, "wipe": 1, "lose": 1}, (10, 20), 2),
    "network": Style({"kill": 6, "cut": 3, "hold": 3, "slow": 2, "freeze": 2}, (10, 20), 1),
}
#: Which roles are hit how often, relatively; its workers share a role's weight.
_WEIGHTS = {"correlate": 5, "store": 4, "followups": 4, "clickhouse": 2, "kafka": 2}
_ON_WORKERS: frozenset[Kind] = frozenset({"wipe", "add", "remove", "cut", "hold", "slow", "lose"})
#: Shares of actions that come at once after the one before, so that several parts are gone together.
_TOGETHER = 0.3
_PAUSES = (0.1, 1.6)
#: Seconds: most are short, some are longer than a session of the group (6 s).
_SHORT, _LONG = (0.3, 3.0), (7.0, 14.0)
_LONG_SHARE = 0.15
#: Of the calms, after which a topic is made again.
_ANEW = 0.4


def schedule(seed: int, workers: Sequence[str]) -> Iterator[Action]:
    """Actions without end, the same for the same seed and workers.

    Stretches of chaos, each ending in a calm.
    """
    random, styles = Random(seed), list(STYLES.values())
    while True:
        (style,) = random.choices(styles, [style.share for style in styles])
        for _ in range(random.randint(*style.actions)):
            yield _action(random, style, workers)
        yield Action(0.0, "calm", "", 0.0)
        if random.random() < _ANEW:
            yield Action(0.0, "anew", "", random.uniform(*_SHORT), random.randrange(4))


def _action(random: Random, style: Style, workers: Sequence[str]) -> Action:
    (kind,) = random.choices(list(style.weights), list(style.weights.values()))
    pause = 0.0 if random.random() < _TOGETHER else random.uniform(*_PAUSES)
    seconds = random.uniform(*(_LONG if random.random() < _LONG_SHARE else _SHORT))
    return Action(pause, kind, _target(random, kind, workers), seconds, random.randrange(4))


def _target(random: Random, kind: Kind, workers: Sequence[str]) -> str:
    servers = [] if kind in _ON_WORKERS else ["clickhouse", "kafka"]
    roles = [name.partition("-")[0] for name in workers]
    weights = [_WEIGHTS[role] / roles.count(role) for role in roles] + [_WEIGHTS[name] for name in servers]
    (target,) = random.choices([*workers, *servers], weights)
    return target


__all__ = ["STYLES", "Action", "Kind", "schedule"]
