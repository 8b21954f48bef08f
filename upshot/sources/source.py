"""A source: which messages are outcomes, and of what."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from upshot.errors import ConfigurationError, InvalidEvent
from upshot.sources.message import Message
from upshot.sources.parts import Find, condition_by, text_by, value_by


def _json(raw: bytes) -> Any:
    return json.loads(raw)


@dataclass(frozen=True)
class Source:
    """Maps messages to outcomes; exactly one of `topic` (a Kafka topic's full name) and `webhook` is given.

    - `type`, `subject`, `id`, `source`: a text with paths in braces (`pr:{repository.full_name}#{number}`),
      or a function of the `Message`. A function for `subject` may return a list: an outcome about each.
    - `when`: a path or a function; a message is passed over unless the path gives true, or the function a
      true value.
    - `time`: a path to RFC 3339 text, or a function returning a datetime; the message's own where absent.
    - `data`: a path, a function, or a mapping of names to these; the whole value where absent.
    - `decode`: how the bytes are read; JSON where absent. A record without a value is passed over.

    Paths are JMESPath. The `id` is made from the message's place where absent: a repeated message counts
    once. Raises ConfigurationError for an unusable source.
    """

    type: str | Find
    subject: str | Find
    topic: str | None = None
    webhook: str | None = None
    when: str | Find | None = None
    id: str | Find | None = None
    time: str | Find | None = None
    data: str | Mapping[str, str | Find] | Find | None = None
    source: str | Find | None = None
    decode: Callable[[bytes], Any] = _json
    _finds: Mapping[str, Find] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if bool(self.topic) == bool(self.webhook):
            raise ConfigurationError(
                "a source needs a topic or a webhook: write topic='github' or webhook='github'"
            )
        finds = {
            "when": condition_by(self.when),
            "type": text_by("type", self.type),
            "subject": text_by("subject", self.subject),
            "id": text_by("id", self.id or (lambda message: None)),
            "source": text_by("source", self.source or (lambda message: message.origin)),
            "time": value_by("time", self.time or (lambda message: message.at)),
            "data": value_by("data", self.data),
        }
        object.__setattr__(self, "_finds", finds)

    def read(self, raw: bytes) -> Any:
        """The decoded value of a message. Raises InvalidEvent: the message is dead-lettered."""
        try:
            return self.decode(raw)
        except (json.JSONDecodeError, UnicodeDecodeError) as error:
            raise InvalidEvent("not_json", f"not UTF-8 JSON: {error}") from None
        except Exception as error:  # noqa: BLE001 - somebody's code: whatever it raises, the message is kept
            raise InvalidEvent("unmapped", f"decode: {type(error).__name__}: {error}") from None

    def _find(self, part: str, message: Message) -> Any:
        try:
            return self._finds[part](message)
        except KeyError as error:
            raise InvalidEvent(
                "unmapped",
                f"{part}: KeyError: {error}: the message has no such field, which the mapping needs",
            ) from None
        except Exception as error:  # noqa: BLE001 - somebody's code: whatever it raises, the message is kept
            raise InvalidEvent("unmapped", f"{part}: {type(error).__name__}: {error}") from None


def outcomes_of(source: Source, message: Message) -> Iterator[bytes]:
    """The outcomes in a message, as JSON; none where `when` excludes the message. They aren't validated yet.

    Raises InvalidEvent where the source's code or paths fail: the message is dead-lettered.
    """
    if not source._find("when", message):
        return
    subjects = source._find("subject", message)
    kind = source._find("type", message)
    event = {
        "specversion": "1.0",
        "type": kind,
        "id": source._find("id", message) or f"{message.place}/{kind}",
        "source": source._find("source", message) or "",
        "time": _instant(source._find("time", message) or message.at),
        "data": source._find("data", message),
    }
    for subject in subjects if isinstance(subjects, list | tuple) else [subjects]:
        yield _encoded({**event, "subject": subject})


def _instant(found: Any) -> Any:
    return found.isoformat() if isinstance(found, datetime) else found


def _encoded(event: dict[str, Any]) -> bytes:
    try:
        return json.dumps(event, ensure_ascii=False, allow_nan=False).encode("utf-8")
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidEvent("unmapped", f"the outcome can't be written as JSON: {error}") from None


__all__ = ["Source", "outcomes_of"]
