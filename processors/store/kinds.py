"""Scores of another kind than the first score of their name: the records of a block, and the reasons.

ClickHouse knows the kind pinned to each name, whichever worker stored its scores (view `score_kinds`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from upshot.errors import InvalidEvent
from upshot.processors.store.values import kind_of
from upshot.streams.events.instants import Micros, instant
from upshot.streams.events.parsing import parse
from upshot.streams.events.records import Record
from upshot.streams.events.topics import MAX_SCORE_BYTES

#: Names with scores of both kinds; hardly ever any.
MIXED = (
    "SELECT name, kind, toUnixTimestamp64Micro(first_at), run_id FROM score_kinds WHERE refused_kind != ''"
)

_INSTEAD: Mapping[str, str] = {"number": "1.0 or 0.0", "boolean": "true or false"}


class Pinned(NamedTuple):
    """The kind of a name's scores, and its origin: when the first of them was decided, and its run."""

    kind: str
    at: Micros
    run_id: str


def clashes(records: Iterable[Record], mixed: Mapping[str, Pinned]) -> Iterator[tuple[Record, InvalidEvent]]:
    """The refused records of topic `scores`, each a valid event, with the reason."""
    for record in records if mixed else ():
        event: dict[str, Any] = parse(record.value, MAX_SCORE_BYTES)
        kind, pinned = kind_of(event.get("value")), mixed.get(event["name"])
        if pinned is not None and kind not in ("", pinned.kind):
            yield record, _refusal(event["name"], kind, pinned)


def _refusal(name: str, kind: str, pinned: Pinned) -> InvalidEvent:
    return InvalidEvent(
        "kind_clash",
        f"{name} is a {pinned.kind} since the score of run {pinned.run_id}, decided at "
        f"{instant(pinned.at).isoformat()}; this one is a {kind}: send {_INSTEAD[pinned.kind]}, or give it a "
        "name of its own",
    )


__all__ = ["MIXED", "Pinned", "clashes"]
