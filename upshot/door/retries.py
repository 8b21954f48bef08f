"""Requests that are sent again: an outcome that doesn't say its id gets it from the request's."""

from __future__ import annotations

from typing import Any

import msgspec

from upshot.door.reading import Entry, encoded
from upshot.schemas.ids import fact_id


def with_id(entry: Entry, request_id: str) -> Entry:
    """The same outcome with an id: from `request_id` (the header Idempotency-Key) and its place in the request."""
    identity = fact_id("request", request_id, entry.where)
    names = {name for name, _ in entry.headers}
    if "ce_type" in names or "ce_specversion" in names:
        if "ce_id" in names:
            return entry
        return entry._replace(headers=[*entry.headers, ("ce_id", identity.encode())])
    try:
        event: Any = msgspec.json.decode(entry.value)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return entry  # it will be refused
    if not isinstance(event, dict) or event.get("id") is not None:
        return entry
    return entry._replace(value=encoded({**event, "id": identity}))


__all__ = ["with_id"]
