"""Takes a receiver's secrets out of texts for people: a server, or a library, may repeat what it was sent."""

from __future__ import annotations

from urllib.parse import parse_qsl, unquote, urlsplit

from pydantic import SecretStr

from upshot.receivers.kinds import HttpReceiverSettings, ReceiverSettings

#: Shorter texts are no secrets, and stand in many an answer.
_SHORTEST = 6
_HIDDEN = "…"


def secrets_of(receiver: ReceiverSettings) -> list[str]:
    """All texts of the settings that nobody may read, the longest first. A url's path may be a key."""
    found: set[str] = set()
    for name in type(receiver).model_fields:
        value = getattr(receiver, name)
        for one in value if isinstance(value, list) else [value]:
            if isinstance(one, SecretStr):
                found.add(one.get_secret_value())
    if isinstance(receiver, HttpReceiverSettings):
        found |= _of_url(receiver.url.get_secret_value())
    both = found | {unquote(secret) for secret in found}
    return sorted((secret for secret in both if len(secret) >= _SHORTEST), key=len, reverse=True)


def hidden(text: str, secrets: list[str]) -> str:
    """The text without the secrets."""
    for secret in secrets:
        text = text.replace(secret, _HIDDEN)
    return text


def _of_url(url: str) -> set[str]:
    parts = urlsplit(url)
    found = {
        parts.path,
        f"{parts.path}?{parts.query}",
        parts.query,
        parts.username or "",
        parts.password or "",
    }
    return found | {*parts.path.split("/"), *(value for _, value in parse_qsl(parts.query))}


__all__ = ["hidden", "secrets_of"]
