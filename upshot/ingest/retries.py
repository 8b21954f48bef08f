"""Requests sent again: known by the header Idempotency-Key, from which outcomes without ids get theirs."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from hashlib import blake2b
from typing import Any

import msgspec

from upshot.ingest.answers import Problem
from upshot.schemas.ids import fact_id
from upshot.streams.events.reading import InputEvent, encoded
from upshot.streams.events.topics import MAX_EVENT_BYTES

#: Digests remembered by one server, two of each request: about 25 MB.
MAX_DIGESTS = 100_000
_UNREADABLE = (msgspec.DecodeError, RecursionError, UnicodeDecodeError)


class Requests:
    """The digests of the latest requests with keys, for as long as this server runs; no more than digests."""

    def __init__(self, most: int = MAX_DIGESTS) -> None:
        self._most = most
        self._digests: OrderedDict[bytes, bytes] = OrderedDict()

    def remember(self, key: str, scopes: Sequence[str], digest: bytes) -> None:
        """Note the events to be sent, as digest (`digest_of`); in each of `scopes` a key means one request.

        Raises Problem where the key came with other events before. A refused request isn't noted, so that a
        mended request may be sent again under the same key.
        """
        names = [_digest(scope.encode(), key.encode("utf-8", "surrogateescape")) for scope in scopes]
        if any(self._digests.get(name, digest) != digest for name in names):
            raise Problem(
                422,
                "this Idempotency-Key came with other events before; nothing was taken: send these under a "
                "key of their own, or the same as before",
            )
        for name in names:
            self._digests[name] = digest
            self._digests.move_to_end(name)
        while len(self._digests) > self._most:
            self._digests.popitem(last=False)


def scopes_of(path: str, topic: str, entries: Sequence[InputEvent]) -> list[str]:
    """Where a key means one request: at one path, and wherever the ids from the key would be the same."""
    return [path, *(f"{topic} {entry.where}" for entry in entries[:1])]


def digest_of(entries: Sequence[InputEvent]) -> bytes:
    """The digest of a request: equal for the same events at the same places."""
    return _digest(*(part for entry in entries for part in _parts(entry)))


def _digest(*parts: bytes) -> bytes:
    digest = blake2b(digest_size=16)
    for part in parts:
        digest.update(len(part).to_bytes(8, "big") + part)
    return digest.digest()


def _parts(entry: InputEvent) -> list[bytes]:
    """An event's content and its place; the order of fields and the white space in between don't count."""
    try:
        value = msgspec.json.encode(msgspec.json.decode(entry.value), order="deterministic")
    except (*_UNREADABLE, OverflowError):
        value = entry.value
    headers = sorted(f"{name}: ".encode() + text for name, text in entry.headers)
    return [entry.where.encode(), value, *headers]


def with_id(entry: InputEvent, request_id: str) -> InputEvent:
    """The same outcome with an id: from `request_id` (Idempotency-Key) and the place in the request."""
    identity = fact_id("request", request_id, entry.where)
    names = {name for name, _ in entry.headers}
    if "ce_type" in names or "ce_specversion" in names:
        if "ce_id" in names:
            return entry
        return entry._replace(headers=[*entry.headers, ("ce_id", identity.encode())])
    if len(entry.value) > MAX_EVENT_BYTES:
        return entry  # it will be refused, and reading it takes long
    try:
        event: Any = msgspec.json.decode(entry.value)
    except _UNREADABLE:
        return entry  # it will be refused
    if not isinstance(event, dict) or event.get("id") is not None:
        return entry
    return entry._replace(value=encoded({**event, "id": identity}))


__all__ = ["MAX_DIGESTS", "Requests", "digest_of", "scopes_of", "with_id"]
