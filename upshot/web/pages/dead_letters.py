"""`/dead-letters` and `/dead-letters/{id}`: what could not be used, mended and sent again."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from upshot.errors import InvalidEvent
from upshot.ingest.answers import Problem
from upshot.ingest.routes import OPEN_TOPICS
from upshot.ingest.sending import IngestProducer
from upshot.insights.pages import dead_letters as stored
from upshot.insights.pages.query import Row
from upshot.settings import Settings
from upshot.streams.events.checking import check
from upshot.streams.events.topics import Topic
from upshot.web.actions import confirmed_reason, log_action
from upshot.web.parameters import place
from upshot.web.rendering import Payload
from upshot.web.site import PageRequest
from upshot.web.views import View

#: Rows of a screen; reasons and topics above them.
_SCREEN, _REASONS = 50, 200


async def dead_letters(asked: PageRequest) -> View:
    """The list, the latest first."""
    reason, topic = asked.query.text("reason"), asked.query.text("topic")
    query = stored.dead_letters_query(reason, topic, asked.query.after())
    by_reason = stored.dead_letter_reasons()
    found, reasons = await asyncio.gather(
        asked.read(query.first, asked.reader, _SCREEN), asked.read(by_reason.first, asked.reader, _REASONS)
    )
    last = found.rows[-1] if found.more else None
    data = {"letters": found.rows, "reasons": reasons.rows, "reason": reason, "topic": topic,
            "next": place(last["recorded_at"], last["dead_letter_id"]) if last else None}  # fmt: skip
    extras = {"by_reason": by_reason if reasons.more else None}
    return View("dead_letters.html", "Dead letters", data, extras, export=query)


async def dead_letter(asked: PageRequest) -> View:
    """One dead letter with its bytes."""
    return _view(asked, await _found(asked))


class Resending:
    """Sends mended events again."""

    def __init__(self, settings: Settings, producer: IngestProducer) -> None:
        self._settings = settings
        self._producer = producer

    async def resend(self, asked: PageRequest) -> View:
        """Check the mended event, send it, and log who did so and why."""
        row = await _found(asked)
        topic = topic_of(self._settings, row["topic"])
        if topic is None:
            raise Problem(409, f"records of {row['topic']} are written by workers alone; nothing was sent")
        form = await asked.request.post()
        text, why = str(form.get("payload", "")), confirmed_reason(form, "nothing was sent")
        try:
            event = check(topic, text.encode())
        except InvalidEvent as error:
            return _view(asked, row, edited=text, refusal=f"{error.reason}: {error.detail}", why=why)
        ids = await self._producer.send([event])
        done = f"resent dead letter {row['dead_letter_id']} to {row['topic']} as {', '.join(ids)}"
        log_action(done, asked.request.remote, asked.frame.role, why)
        return _view(asked, row, edited=text, sent=ids)


async def _found(asked: PageRequest) -> Row:
    ident = asked.part("id")
    row = await asked.read(stored.dead_letter, asked.reader, ident)
    if row is None:
        raise Problem(404, f"there is no dead letter {ident[:200]!r}; it may not be stored yet")
    return row


def topic_of(settings: Settings, full_name: str) -> Topic | None:
    """The topic of a full name, where people may write to it."""
    return next((each for each in OPEN_TOPICS if settings.topic(each.name) == full_name), None)


def _view(asked: PageRequest, row: Row, **more: Any) -> View:
    payload, is_text = _text(row["payload"])
    key, _ = _text(row["key"])
    is_whole = len(row["payload"]) == 2 * int(row["payload_bytes"])
    letter: Mapping[str, Any] = {
        **row,
        "payload": payload,
        "key": key,
        "is_text": is_text,
        "headers": [(name, _text(value)[0]) for name, value in row["headers"]],
    }
    can_send = is_text and is_whole and topic_of(asked.site.settings, row["topic"]) is not None
    edited = more.pop("edited", payload)
    extras = {
        "shown": Payload(payload),
        "edited": Payload(edited),
        "can_send": can_send,
        "refusal": "",
        "sent": [],
        "why": "",
        **more,
    }
    status = 400 if extras["refusal"] else 200
    return View("dead_letter.html", "Dead letter", {"letter": letter}, extras, status=status)


def _text(hexadecimal: str) -> tuple[str, bool]:
    """Bytes as text, and whether they are text."""
    found = bytes.fromhex(hexadecimal)
    try:
        return found.decode(), True
    except UnicodeDecodeError:
        return found.decode("utf-8", "backslashreplace"), False


__all__ = ["Resending", "dead_letter", "dead_letters", "topic_of"]
