"""The facts that follow from decisions about notices; each becomes a record."""

from __future__ import annotations

from typing import NamedTuple

from upshot.processors.notifications.state import AlertUpdate, Tries
from upshot.schemas.notices import NoticeStatus
from upshot.streams.events.instants import Micros


class NoticeStands(NamedTuple):
    """How a notice stands now."""

    notice_id: str
    update: AlertUpdate
    status: NoticeStatus
    at: Micros
    revision: int
    tries: Tries = Tries()
    digest_id: str = ""
    digest_of: tuple[str, ...] = ()
    why: str = ""


class NoticeGivenUp(NamedTuple):
    """A notice is not tried any more: its request becomes a dead letter."""

    notice_id: str
    update: AlertUpdate
    tries: Tries
    at: Micros


NoticeFact = NoticeStands | NoticeGivenUp

__all__ = ["NoticeFact", "NoticeGivenUp", "NoticeStands"]
