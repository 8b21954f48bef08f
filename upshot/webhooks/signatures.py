"""Whether a webhook comes from its provider: each provider signs in a way of its own."""

from __future__ import annotations

import hmac
from base64 import b64encode
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

from upshot.errors import Unsigned

#: How old a signature with a time may be, and how far ahead the sender's clock.
TOLERANCE = timedelta(minutes=5)

_WRONG = "is wrong: the secret differs from the sender's, or the body was changed on its way"


def check_github(headers: Mapping[str, str], body: bytes, secrets: Sequence[str], now: datetime) -> None:
    """`X-Hub-Signature-256: sha256=<hex>` over the body. Raises Unsigned."""
    signature = _header(headers, "X-Hub-Signature-256")
    expected = ["sha256=" + _hmac(secret, body).hex() for secret in secrets]
    _compare("X-Hub-Signature-256", [signature], expected)


def check_stripe(headers: Mapping[str, str], body: bytes, secrets: Sequence[str], now: datetime) -> None:
    """`Stripe-Signature: t=<seconds>,v1=<hex>[,v1=…]` over time, full stop and body. Raises Unsigned."""
    parts = [part.strip().partition("=") for part in _header(headers, "Stripe-Signature").split(",")]
    times = [text for name, _, text in parts if name == "t"]
    if len(times) != 1 or not (times[0].isascii() and times[0].isdigit() and len(times[0]) < 12):
        raise Unsigned("Stripe-Signature has no time (t=…)")
    _in_time("Stripe-Signature", datetime.fromtimestamp(int(times[0]), UTC), now)
    signed = times[0].encode() + b"." + body
    expected = [_hmac(secret, signed).hex() for secret in secrets]
    _compare("Stripe-Signature", [text for name, _, text in parts if name == "v1"], expected)


def check_zendesk(headers: Mapping[str, str], body: bytes, secrets: Sequence[str], now: datetime) -> None:
    """`X-Zendesk-Webhook-Signature: <base64>` over the time's header and the body. Raises Unsigned."""
    signature = _header(headers, "X-Zendesk-Webhook-Signature")
    time = _header(headers, "X-Zendesk-Webhook-Signature-Timestamp")
    try:
        signed_at = datetime.fromisoformat(time)
    except ValueError:
        raise Unsigned("X-Zendesk-Webhook-Signature-Timestamp is no time") from None
    _in_time("X-Zendesk-Webhook-Signature", signed_at.replace(tzinfo=signed_at.tzinfo or UTC), now)
    expected = [b64encode(_hmac(secret, time.encode() + body)).decode() for secret in secrets]
    _compare("X-Zendesk-Webhook-Signature", [signature], expected)


def _header(headers: Mapping[str, str], name: str) -> str:
    signature = headers.get(name)
    if not signature:
        raise Unsigned(f"{name} is missing: set a secret at the sender")
    return signature


def _hmac(secret: str, signed: bytes) -> bytes:
    return hmac.digest(secret.encode(), signed, "sha256")


def _in_time(name: str, signed_at: datetime, now: datetime) -> None:
    if abs(now - signed_at) > TOLERANCE:
        minutes = TOLERANCE // timedelta(minutes=1)
        raise Unsigned(f"{name} is more than {minutes} minutes off this machine's clock")


def _compare(name: str, signature: Sequence[str], expected: Sequence[str]) -> None:
    """All are compared, so that the time doesn't reveal the nearly right one."""
    matches = [
        hmac.compare_digest(one.encode("utf-8", "replace"), other.encode())
        for one in signature
        for other in expected
    ]
    if not any(matches):
        raise Unsigned(f"{name} {_WRONG}")


__all__ = ["TOLERANCE", "check_github", "check_stripe", "check_zendesk"]
