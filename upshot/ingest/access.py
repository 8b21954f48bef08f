"""Access: for clients with a key; without any keys, for programs on this machine."""

from __future__ import annotations

from hashlib import sha256
from hmac import compare_digest
from urllib.parse import urlsplit

from multidict import CIMultiDict, CIMultiDictProxy

from upshot.errors import ConfigurationError
from upshot.ingest.hosts import host_of, is_loopback, only, origin_of, same_address
from upshot.ingest.relays import relayed_by
from upshot.settings import Settings

#: Shorter keys could be guessed.
SHORTEST_KEY = 16
_ANY = "*"
#: A browser's names for the requesting page: our own, or none because somebody typed the address.
_OWN_SITES = ("same-origin", "none")

Headers = CIMultiDictProxy[str] | CIMultiDict[str]


class Access:
    """Decides by the request's headers and the peer's address. Raises ConfigurationError for a short key."""

    def __init__(self, settings: Settings) -> None:
        keys = [key.strip() for key in settings.api_keys.get_secret_value().split(",") if key.strip()]
        if any(len(key) < SHORTEST_KEY for key in keys):
            raise ConfigurationError(
                f"UPSHOT_API_KEYS has a key of less than {SHORTEST_KEY} characters: make one with  openssl "
                "rand -hex 24"
            )
        self._digests = [sha256(key.encode()).digest() for key in keys]

    def refusal(self, headers: Headers, peer: str | None) -> str | None:
        """Why this request is refused; None where it may come in."""
        return self._without_key(headers) if self._digests else _not_from_here(headers, peer)

    def _without_key(self, headers: Headers) -> str | None:
        scheme, _, token = (only(headers.getall("Authorization", [])) or "").partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            return "send one key: Authorization: Bearer KEY"
        presented = sha256(token.strip().encode("utf-8", "surrogateescape")).digest()
        # All are compared, so that the time doesn't reveal the nearly right digest.
        matches = [compare_digest(presented, digest) for digest in self._digests]
        return None if any(matches) else "this key is not one of UPSHOT_API_KEYS"


class Viewers:
    """Access to pages and `/healthz`: for requests naming this server by its own name, from no foreign page.

    A foreign page in a browser would come with a name of its own, even where the name leads to this machine.
    """

    def __init__(self, settings: Settings) -> None:
        allowed = [name.strip().lower() for name in settings.allowed_hosts.split(",") if name.strip()]
        self._any = _ANY in allowed
        self._names = frozenset((*allowed, urlsplit(settings.public_url).hostname or ""))

    def misdirected(self, headers: Headers, here: str | None) -> str | None:
        """Why this server isn't meant; None where meant. `here` is the connection's local address."""
        name = host_of(only(headers.getall("Host", [])) or "")
        if self._any or (name is not None and (self._is_ours(name) or same_address(name, here))):
            return None
        return (
            "pages and /healthz are asked for by a name of this server: localhost, its address, the host of "
            "UPSHOT_PUBLIC_URL, or one of UPSHOT_ALLOWED_HOSTS, where this one can be added"
        )

    def foreign_page(self, headers: Headers, here: str | None) -> str | None:
        """Why the page may not read; None for no page, our own page, or a person following a link."""
        asked = host_of(only(headers.getall("Host", [])) or "")
        for name in map(origin_of, headers.getall("Origin", [])):
            if name is None or not (name == asked or self._is_ours(name) or same_address(name, here)):
                return "another page may not read this one"
        sites = headers.getall("Sec-Fetch-Site", [])
        follows_link = headers.getall("Sec-Fetch-Mode", []) == ["navigate"] and headers.getall(
            "Sec-Fetch-Dest", []
        ) == ["document"]
        if any(site not in _OWN_SITES for site in sites) and not follows_link:
            return "another page may not read this one"
        return None

    def _is_ours(self, name: str) -> bool:
        return is_loopback(name) or name in self._names


def is_from_here(headers: Headers, peer: str | None) -> bool:
    """Whether the request is of this machine, by its own name, from no page of another, not passed on."""
    host = host_of(only(headers.getall("Host", [])) or "")
    names = [host, *map(origin_of, headers.getall("Origin", []))]
    return is_loopback(peer) and all(map(is_loopback, names)) and relayed_by(headers) is None


def _not_from_here(headers: Headers, peer: str | None) -> str | None:
    """A page in a browser on this machine must not get in either: its host or origin would be its own."""
    relay = relayed_by(headers)
    if is_from_here(headers, peer) and "cross-site" not in headers.getall("Sec-Fetch-Site", []):
        return None
    why = f" (the header {relay[:60]} marks the request as passed on)" if relay else ""
    return (
        f"without UPSHOT_API_KEYS only programs on this machine may send events{why}: set UPSHOT_API_KEYS, "
        "and send one of the keys with each request, Authorization: Bearer KEY"
    )


__all__ = ["SHORTEST_KEY", "Access", "Viewers", "is_from_here"]
