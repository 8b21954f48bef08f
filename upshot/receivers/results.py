"""The result of posting a message once, and how an HTTP answer becomes one. Every result has a fate."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from upshot.receivers.messages import one_line

#: An answer is repeated in errors up to so many characters.
_LONGEST_QUOTE = 200
#: The longest pause that a receiver can ask for.
LONGEST_RETRY_AFTER = 86_400.0


@dataclass(frozen=True)
class Accepted:
    """The receiver has the message."""

    status: int | None = None
    note: str = ""


@dataclass(frozen=True)
class Failed:
    """Tried again later. `after` is the receiver's own wish in seconds.

    `uncertain`: the receiver may have the message all the same.
    """

    error: str
    status: int | None = None
    after: float | None = None
    uncertain: bool = False


@dataclass(frozen=True)
class Rejected:
    """The receiver will never take this message; not tried again."""

    error: str
    status: int | None = None


@dataclass(frozen=True)
class SwitchedOff:
    """The receiver wants no messages any more (410); nothing is sent until its settings change."""

    error: str
    status: int | None = None


PostResult = Accepted | Failed | Rejected | SwitchedOff


@dataclass(frozen=True)
class HttpAnswer:
    """An answer's status, the headers with a meaning here, and the first bytes of its body."""

    status: int
    body: bytes = b""
    retry_after: str | None = None
    location: str | None = None


def judge_status(answer: HttpAnswer, rejecting: frozenset[int], gone: bool, now: datetime) -> PostResult:
    """The result of an answer: 2xx is accepted, everything else fails.

    A status of `rejecting` isn't tried again; 410 switches the receiver off where `gone`.
    """
    status = answer.status
    if 200 <= status < 300:
        return Accepted(status)
    error = _stated(answer)
    if status == 410 and gone:
        return SwitchedOff(error, status)
    if status in rejecting:
        return Rejected(error, status)
    after = retry_after(answer.retry_after, now) if status in (429, 503) else None
    return Failed(error, status, after, uncertain=status >= 500 and status != 503)


def perhaps_received(result: PostResult) -> PostResult:
    """The result of a try after another whose end nobody knows."""
    return replace(result, uncertain=True) if isinstance(result, Failed) else result


def _stated(answer: HttpAnswer) -> str:
    if 300 <= answer.status < 400:
        return f"answered {answer.status}, a redirect, which is never followed: set the final address"
    quoted = one_line(answer.body.decode("utf-8", "replace"), _LONGEST_QUOTE)
    return f"answered {answer.status}" + (f": {quoted}" if quoted else "")


def retry_after(value: str | None, now: datetime) -> float | None:
    """Seconds until a message may be tried again, from the header: a number, or a date."""
    if value is None:
        return None
    try:
        seconds = float(value) if value.strip().isdigit() else _until(value, now)
    except (ValueError, TypeError, OverflowError):
        return None
    return min(max(seconds, 0.0), LONGEST_RETRY_AFTER)


def _until(value: str, now: datetime) -> float:
    moment = parsedate_to_datetime(value)
    return ((moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - now).total_seconds()


__all__ = [
    "LONGEST_RETRY_AFTER",
    "Accepted",
    "Failed",
    "HttpAnswer",
    "PostResult",
    "Rejected",
    "SwitchedOff",
    "judge_status",
    "perhaps_received",
    "retry_after",
]
