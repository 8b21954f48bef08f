"""The requests for a follow-up: of each asker the highest revision counts, whatever the order of arrival.

A follow-up stands as long as at least one asker still defers the follow-up. Of several standing deferrals the
first counts, by the time of the deferral.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec.structs import replace

from upshot.processors.followups.execution import FollowupSpec
from upshot.processors.followups.facts import Deferred
from upshot.processors.followups.state import FollowupState, Request
from upshot.streams.events.instants import Micros

_decode = msgspec.json.Decoder().decode


def requested(state: FollowupState, arrival: Deferred) -> FollowupState:
    """The follow-up with the arrival's request; the same object where the request is known, or outdated."""
    requests = _requests_of(state)
    before = requests.get(arrival.deferred_by)
    if before is not None and not _outranks(arrival, before, state.origin):
        return state
    origin = None if arrival.cancelled else arrival.origin
    requests[arrival.deferred_by] = Request(arrival.revision, arrival.cancelled, origin, arrival.place)
    standing = [request for request in requests.values() if not request.cancelled]
    if not standing:
        # Status and scores name their run, also where the deferral itself never comes.
        known = state.origin or arrival.origin
        return replace(state, origin=known, place=state.place or arrival.place, requests=requests)
    counts = min(standing, key=lambda request: _rank(request.origin))
    remembered = {
        name: replace(r, origin=None) if r.origin == counts.origin else r for name, r in requests.items()
    }
    return replace(state, origin=counts.origin, place=counts.place, requests=_least(remembered))


def _requests_of(state: FollowupState) -> dict[str, Request]:
    """All requests, standing requests with their origin."""
    if not state.requests:
        return {} if state.origin is None else {"": Request(0, False, state.origin, state.place)}
    return {
        name: request if request.cancelled or request.origin else replace(request, origin=state.origin)
        for name, request in state.requests.items()
    }


def _least(requests: Mapping[str, Request]) -> dict[str, Request]:
    """The requests to be remembered: none in the usual case."""
    usual = len(requests) == 1 and (only := requests.get("")) is not None and not only.revision
    return {} if usual else dict(requests)


def _outranks(arrival: Deferred, before: Request, origin: FollowupSpec | None) -> bool:
    emitted, known = (arrival.revision, arrival.cancelled), (before.revision, before.cancelled)
    if emitted != known or before.cancelled:
        return emitted > known
    return _rank(arrival.origin) < _rank(before.origin or origin)


def _rank(origin: FollowupSpec | None) -> tuple[Micros, bytes]:
    """Of two deferrals with one id the lesser counts."""
    assert origin is not None
    plain: Any = _decode(msgspec.json.encode(origin))
    return origin.deferred_at, msgspec.json.encode(plain, order="sorted")


__all__ = ["requested"]
