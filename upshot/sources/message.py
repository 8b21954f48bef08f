"""The input of a source."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass(frozen=True)
class Message:
    """A record of Kafka or a webhook: `value` is the decoded value, JSON unless the source decodes otherwise.

    `place` is unique for the message and the same for a repeat; `origin` is the topic, or `webhook:<name>`.
    `at` is the record's timestamp, or the arrival of the webhook. Names of headers are in lower case.
    """

    value: Any
    origin: str
    place: str
    at: datetime
    key: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


__all__ = ["Message"]
