"""How the providers sign, written down a second time.

HMAC by its definition (RFC 2104), from the hash alone.
"""

from __future__ import annotations

from base64 import b64encode
from datetime import datetime
from hashlib import sha256

GITHUB, STRIPE, ZENDESK = "github-secret", "whsec_stripe", "zendesk-secret=="


def hmac(secret: bytes, signed: bytes) -> bytes:
    key = (secret if len(secret) <= 64 else sha256(secret).digest()).ljust(64, b"\0")
    inner = sha256(bytes(byte ^ 0x36 for byte in key) + signed).digest()
    return sha256(bytes(byte ^ 0x5C for byte in key) + inner).digest()


def by_github(body: bytes, event: str, delivery: str = "d-1", secret: str = GITHUB) -> dict[str, str]:
    """The headers of a webhook of GitHub's."""
    return {
        "X-GitHub-Event": event,
        "X-GitHub-Delivery": delivery,
        "X-Hub-Signature-256": "sha256=" + hmac(secret.encode(), body).hex(),
    }


def by_stripe(body: bytes, at: datetime, secret: str = STRIPE) -> dict[str, str]:
    """The headers of a webhook of Stripe's."""
    time = int(at.timestamp())
    signature = hmac(secret.encode(), f"{time}.".encode() + body).hex()
    return {"Stripe-Signature": f"t={time},v1={'0' * 64},v1={signature},v0=old"}


def by_zendesk(body: bytes, at: datetime, secret: str = ZENDESK) -> dict[str, str]:
    """The headers of a webhook of Zendesk's."""
    time = at.strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "X-Zendesk-Webhook-Signature": b64encode(hmac(secret.encode(), time.encode() + body)).decode(),
        "X-Zendesk-Webhook-Signature-Timestamp": time,
        "X-Zendesk-Webhook-Invocation-Id": "01ABC",
    }
