"""The metadata of a committed offset: the offset's topic, a sign of life, and a note. Pure.

`<topic's id>[ <sign of life>][ <note>]`, where the note is a JSON object and the others have no braces. Every
part may be missing: brokers too old for ids give none, and Kafka's tools and earlier versions commit without
metadata.
"""

from __future__ import annotations

from typing import NamedTuple


class OffsetMetadata(NamedTuple):
    """`token` is the id of the topic as text; `sign` differs while a recovery goes on; `note` is the poison
    guard's.
    """

    token: str = ""
    sign: str = ""
    note: str = ""

    def __str__(self) -> str:
        stated = f"{self.token} {self.sign}" if self.sign else self.token
        return f"{stated} {self.note}" if stated and self.note else stated + self.note

    def is_of(self, token: str) -> bool:
        """Whether the offset belongs to the topic with this id. Metadata without an id mean the present
        topic.
        """
        return not self.token or not token or self.token == token


def read_metadata(text: str | None) -> OffsetMetadata:
    """The parts of an offset's metadata, of any writer."""
    head, brace, rest = (text or "").partition("{")
    token, _, sign = head.partition(" ")
    return OffsetMetadata(token, sign.strip(), brace + rest)


__all__ = ["OffsetMetadata", "read_metadata"]
