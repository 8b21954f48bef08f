"""Requests to try failed notices again, as records."""

from __future__ import annotations

from upshot.schemas.notices import NoticeRequest
from upshot.streams.events.outgoing import OutgoingEvent


def request_event(request: NoticeRequest) -> OutgoingEvent:
    """The record of a request, to be sent."""
    value = request.model_dump_json(exclude_none=True).encode()
    return OutgoingEvent("notice-requests", request.receiver, value)


__all__ = ["request_event"]
