"""Signed links: opening a link records one outcome, without a key and until the link expires."""

from __future__ import annotations

import hmac
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from upshot.errors import ConfigurationError, LinkRefused
from upshot.schemas.ids import fact_id
from upshot.settings import Settings, load_settings

#: Characters of a link; some programs cut longer ones.
LONGEST_LINK = 2000
_SHORTEST_SECRET = 32
#: Signed along, so that a signature for another purpose is invalid for a link.
_PURPOSE = b"upshot link 1\n"


@dataclass(frozen=True)
class Link:
    """The content of a link."""

    type: str
    subject: str
    data: Any
    id: str
    expires_at: datetime


def outcome_link(
    type: str,
    subject: str,
    *,
    data: Any = None,
    expires: timedelta = timedelta(days=7),
    id: str | None = None,
    settings: Settings | None = None,
    now: datetime | None = None,
) -> str:
    """A URL for recording this outcome, once, until the URL expires.

    Links with the same content about a subject record one outcome, however many are opened: where each should
    count, give each an `id` of its own. Everybody with the link can read its content. `settings` are read
    from the environment where absent. Raises ConfigurationError where there is no secret, or the link gets
    too long.
    """
    settings = settings or load_settings()
    ends = (now or datetime.now(UTC)) + expires
    written = json.dumps(data, ensure_ascii=False, separators=(",", ":"), sort_keys=True, allow_nan=False)
    content = {
        "type": type,
        "subject": subject,
        "id": id or fact_id("link", type, subject, written),
        "until": int(ends.timestamp()),
    }
    if data is not None:
        content["data"] = data
    payload = _text(json.dumps(content, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode())
    link = f"{settings.public_url.rstrip('/')}/v1/links/{payload}.{_text(_signature(settings, payload))}"
    if len(link) > LONGEST_LINK:
        raise ConfigurationError(
            f"the link has {len(link)} characters, more than {LONGEST_LINK}: say less in data; nothing was "
            "recorded"
        )
    return link


def read_link(token: str, settings: Settings, now: datetime) -> Link:
    """The content of a URL's last part. Raises LinkRefused, or ConfigurationError without a secret."""
    payload, _, signature = token.partition(".")
    expected = _text(_signature(settings, payload))
    if not hmac.compare_digest(signature.encode("utf-8", "replace"), expected.encode()):
        raise LinkRefused("this link is damaged or not ours; nothing was recorded")
    try:
        content = json.loads(urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        kind, subject, identity = content["type"], content["subject"], content["id"]
        until = datetime.fromtimestamp(content["until"], UTC)
    except (ValueError, TypeError, LookupError, OverflowError, OSError, RecursionError):
        raise LinkRefused("this link holds nothing recordable; nothing was recorded") from None
    if not all(isinstance(text, str) for text in (kind, subject, identity)):
        raise LinkRefused("this link holds nothing recordable; nothing was recorded")
    if now > until:
        raise LinkRefused(
            f"this link has expired at {until:%Y-%m-%d %H:%M} UTC; nothing was recorded", expired=True
        )
    return Link(kind, subject, content.get("data"), identity, until)


def _signature(settings: Settings, payload: str) -> bytes:
    secret = settings.link_secret.get_secret_value()
    if len(secret) < _SHORTEST_SECRET:
        raise ConfigurationError(
            f"UPSHOT_LINK_SECRET needs at least {_SHORTEST_SECRET} characters, the same here and at the web "
            "server: make one with  openssl rand -hex 32"
        )
    return hmac.digest(secret.encode(), _PURPOSE + payload.encode("utf-8", "replace"), "sha256")


def _text(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


__all__ = ["LONGEST_LINK", "Link", "outcome_link", "read_link"]
