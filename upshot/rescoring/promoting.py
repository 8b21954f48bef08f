"""The difference as revisions of scores: events for the topic `scores`."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

import msgspec

from upshot.rescoring.difference import Moved
from upshot.schemas.scores import Score
from upshot.streams.events.instants import instant
from upshot.streams.events.outgoing import OutgoingEvent, outgoing

#: The attribute with the version of the code behind a rescored score.
VERSION = "scorer_version"


def revisions(moved: Iterable[Moved], decided_at: datetime) -> list[OutgoingEvent]:
    """A revision for each score changed, added or dropped by the code; the same ones when made again."""
    return [outgoing("scores", one.origin.run_id, _revision(one, decided_at)) for one in moved]


def _revision(one: Moved, decided_at: datetime) -> Score:
    origin, give = one.origin, one.give
    emitted = {
        "score_id": one.score_id,
        "run_id": origin.run_id,
        "step_id": one.step_id,
        "name": one.name,
        "value": one.after,
        "key": one.key,
        "revision": one.revision + 1,
        "supersedes": one.revision or None,
        "reason": "rescored",
        "occurred_at": instant(give.at).isoformat() if give else None,
        "decided_at": decided_at.isoformat(),
        "agent": origin.agent,
        "source": origin.scorer,
        "comment": give.comment if give else None,
        "exposures": msgspec.json.decode(origin.exposures),
        "attributes": {**msgspec.json.decode(origin.attributes), VERSION: origin.version},
    }
    # A score without a value has the field as null; other unknown fields are left out.
    stored = {name: value for name, value in emitted.items() if value is not None or name == "value"}
    return Score.model_validate(stored)


__all__ = ["VERSION", "revisions"]
