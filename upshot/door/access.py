"""Who may come in: whoever has a key; without any keys, programs on this machine."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from hmac import compare_digest
from ipaddress import ip_address
from urllib.parse import urlsplit

from upshot.errors import ConfigurationError
from upshot.settings import Settings

#: Shorter keys could be guessed.
SHORTEST_KEY = 16
#: Headers by which a proxy says that it speaks for somebody else.
_PROXIED = ("Forwarded", "X-Forwarded-For", "X-Real-IP")


class Access:
    """Decides by the request's headers and the peer's address. Raises ConfigurationError for a short key."""

    def __init__(self, settings: Settings) -> None:
        keys = [key.strip() for key in settings.api_keys.get_secret_value().split(",") if key.strip()]
        if any(len(key) < SHORTEST_KEY for key in keys):
            raise ConfigurationError(
                f"UPSHOT_API_KEYS has a key of less than {SHORTEST_KEY} characters: make one with  openssl rand -hex 24"
            )
        self._digests = [sha256(key.encode()).digest() for key in keys]

    def refusal(self, headers: Mapping[str, str], peer: str | None) -> str | None:
        """Why this request may not come in; None where it may."""
        return self._without_key(headers) if self._digests else _not_from_here(headers, peer)

    def _without_key(self, headers: Mapping[str, str]) -> str | None:
        scheme, _, token = headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            return "send a key: Authorization: Bearer KEY"
        presented = sha256(token.strip().encode("utf-8", "surrogateescape")).digest()
        # All are compared, so that the time doesn't tell which one was nearly right.
        matches = [compare_digest(presented, digest) for digest in self._digests]
        return None if any(matches) else "this key is not one of UPSHOT_API_KEYS"


def _not_from_here(headers: Mapping[str, str], peer: str | None) -> str | None:
    """A page in a browser on this machine must not get in either: it would come with its own host or origin."""
    names = [urlsplit("//" + headers.get("Host", "")).hostname]
    if origin := headers.get("Origin"):
        names.append(urlsplit(origin).hostname)
    from_here = _is_loopback(peer) and all(map(_is_loopback, names))
    if from_here and not any(name in headers for name in _PROXIED):
        return None
    return "without UPSHOT_API_KEYS only programs on this machine may send events: set keys to open the door"


def _is_loopback(name: str | None) -> bool:
    if name is None or name == "localhost":
        return name is not None
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return False


__all__ = ["SHORTEST_KEY", "Access"]
