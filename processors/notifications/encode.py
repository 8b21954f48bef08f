"""Facts about notices as records of their topics."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any, assert_never

import msgspec

from upshot.errors import InvalidEvent
from upshot.processors.notifications.facts import NoticeFact, NoticeGivenUp, NoticeStands
from upshot.schemas.notices import ReceiverKind
from upshot.settings import Settings
from upshot.streams.events.dead_letters import dead_letter
from upshot.streams.events.instants import instant
from upshot.streams.kafka.fetch import Fetched
from upshot.streams.runtime import Output

_encode = msgspec.json.Encoder().encode


class NoticeOutputs:
    """Makes outputs of facts. `counts` counts notices by status, `dead_letters` by reason."""

    def __init__(
        self,
        settings: Settings,
        counts: Counter[str],
        dead_letters: Counter[str],
        kind_of: Callable[[str], ReceiverKind],
    ) -> None:
        self._settings = settings
        self._counts = counts
        self._dead_letters = dead_letters
        self._kind_of = kind_of
        self._topic = settings.topic("notices")
        self._requests = settings.topic("notice-requests")

    def of(self, facts: Iterable[NoticeFact]) -> list[Output]:
        """A record for each fact."""
        return [self._output(fact) for fact in facts]

    def _output(self, fact: NoticeFact) -> Output:
        match fact:
            case NoticeStands():
                self._counts[fact.status] += 1
                key = fact.update.summary.alert_id.encode()
                kind = self._kind_of(fact.update.receiver)
                return Output(self._topic, None, key, encode_notice(fact, kind))
            case NoticeGivenUp():
                return self._given_up(fact)
            case _:
                assert_never(fact)

    def _given_up(self, fact: NoticeGivenUp) -> Output:
        """The dead letter of a request. Its time is the last failure's: then somebody has to look."""
        place, summary = fact.update.place, fact.update.summary
        record = Fetched(
            self._requests,
            place.partition,
            place.offset,
            fact.at // 1000,
            fact.update.receiver.encode(),
            fact.update.original,
            (),
            place.made,
        )
        detail = (
            f"alert {summary.alert_id} of the rule {summary.name}, {summary.state}: the receiver "
            f"{fact.update.receiver} {fact.tries.error} (tried {fact.tries.attempts} times); mend its "
            f"settings, then try it: upshot alerts ping {fact.update.receiver}"
        )
        error = InvalidEvent("notice_failed", detail)
        self._dead_letters[error.reason] += 1
        return dead_letter(self._settings, record, error, about=fact.notice_id)


def encode_notice(fact: NoticeStands, kind: ReceiverKind) -> bytes:
    """The record of a notice, with its stated fields only."""
    summary, tries = fact.update.summary, fact.tries
    waits = fact.status in ("pending", "retrying") and tries.next_at
    fields: dict[str, Any] = {
        "notice_id": fact.notice_id,
        "alert_id": summary.alert_id,
        "name": summary.name,
        "receiver": fact.update.receiver,
        "receiver_kind": kind,
        "state": summary.state,
        "status": fact.status,
        "attempts": tries.attempts,
        "last_status": tries.last_status,
        "error": fact.why or tries.error,
        "next_attempt_at": instant(tries.next_at).isoformat() if waits else None,
        "digest_id": fact.digest_id or None,
        "digest_of": list(fact.digest_of) or None,
        "raised_at": instant(summary.raised_at).isoformat(),
        "sent_at": instant(fact.at).isoformat() if fact.status == "sent" else None,
        "changed_at": instant(fact.at).isoformat(),
        "revision": fact.revision,
    }
    return _encode({name: value for name, value in fields.items() if value not in (None, "")})


__all__ = ["NoticeOutputs", "encode_notice"]
