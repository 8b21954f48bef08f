"""Who may see pages and change things: programs and people on this machine, or holders of a key.

Without keys, requests of this machine have every right and others see the state of the components alone.
With keys a session cookie, a key as a bearer token, or a signed link to a single page stands for its holder.
"""

from __future__ import annotations

import hmac
import secrets
from hashlib import sha256
from typing import Literal

from aiohttp import web
from pydantic import SecretStr

from upshot.errors import ConfigurationError
from upshot.ingest.access import SHORTEST_KEY, is_from_here
from upshot.ingest.hosts import only
from upshot.settings import Settings

#: `nobody` sees the state of components, `viewer` reads all pages, `operator` changes things, too.
Role = Literal["nobody", "viewer", "operator"]

SESSION_COOKIE = "upshot_session"
#: Seconds of a session, and the longest life of a shared link.
SESSION_SECONDS = 12 * 3600
SHARED_SECONDS = 30 * 86_400
_SHARE, _UNTIL = "share", "share_until"


class PageAccess:
    """Decides on the role of a request. Raises ConfigurationError for a key that could be guessed."""

    def __init__(self, settings: Settings) -> None:
        self._operators = _digests("UPSHOT_OPERATOR_KEYS", settings.operator_keys)
        self._viewers = _digests("UPSHOT_VIEWER_KEYS", settings.viewer_keys)
        material = (
            b"".join(self._operators + self._viewers) + settings.link_secret.get_secret_value().encode()
        )
        self._secret = sha256(b"upshot pages\0" + material).digest() if material else secrets.token_bytes(32)
        #: Whether links to single pages outlive this process.
        self.can_share = bool(material)
        #: Whether people sign in by a key.
        self.by_key = bool(self._operators or self._viewers)

    def role(self, request: web.Request, now: float) -> Role:
        """The role of a request; a shared link gives the right to its page alone."""
        found = self._role(request, now)
        if found == "nobody" and request.method in ("GET", "HEAD") and self._is_shared(request, now):
            return "viewer"
        return found

    def _role(self, request: web.Request, now: float) -> Role:
        if not self.by_key:
            return "operator" if is_from_here(request.headers, request.remote) else "nobody"
        scheme, _, key = (only(request.headers.getall("Authorization", [])) or "").partition(" ")
        if scheme.lower() == "bearer":
            return self.role_of_key(key.strip())
        return self._role_of_session(request.cookies.get(SESSION_COOKIE, ""), now)

    def role_of_key(self, key: str) -> Role:
        """The role of a key; every key is compared, so that the time taken tells nothing."""
        digest = sha256(key.encode("utf-8", "replace")).digest()
        operates = [hmac.compare_digest(digest, each) for each in self._operators]
        views = [hmac.compare_digest(digest, each) for each in self._viewers]
        if any(operates):
            return "operator"
        return "viewer" if any(views) else "nobody"

    def session(self, role: Role, now: float) -> str:
        """The value of a session's cookie."""
        text = f"{role}.{int(now) + SESSION_SECONDS}.{secrets.token_hex(8)}"
        return f"{text}.{self._signed('session', text)}"

    def _role_of_session(self, cookie: str, now: float) -> Role:
        text, _, signature = cookie.rpartition(".")
        if not text or not self._fits("session", text, signature):
            return "nobody"
        role, until, _ = text.split(".")
        return role if int(until) > now and role in ("viewer", "operator") else "nobody"  # type: ignore[return-value]

    def token(self, request: web.Request) -> str:
        """The proof that a form came from a page of this session."""
        return self._signed("form", request.cookies.get(SESSION_COOKIE, "here"))

    def is_own_form(self, request: web.Request, token: str) -> bool:
        """Whether a form has the session's proof."""
        return self._fits("form", request.cookies.get(SESSION_COOKIE, "here"), token)

    def shared(self, path_and_query: str, until: int) -> str:
        """The address of one page with a signature that ends at `until`, in Unix seconds."""
        mark = "&" if "?" in path_and_query else "?"
        address = f"{path_and_query}{mark}{_UNTIL}={until}"
        return f"{address}&{_SHARE}={self._signed('share', address)}"

    def _is_shared(self, request: web.Request, now: float) -> bool:
        address, found, signature = request.raw_path.rpartition(f"&{_SHARE}=")
        until = address.rpartition(f"{_UNTIL}=")[2]
        return bool(found) and self._fits("share", address, signature) and int(until) > now

    def _signed(self, purpose: str, text: str) -> str:
        return hmac.new(self._secret, f"{purpose}\0{text}".encode("utf-8", "replace"), sha256).hexdigest()

    def _fits(self, purpose: str, text: str, signature: str) -> bool:
        return hmac.compare_digest(self._signed(purpose, text), signature.encode("ascii", "replace").decode())


def _digests(name: str, keys: SecretStr) -> list[bytes]:
    found = [key.strip() for key in keys.get_secret_value().split(",") if key.strip()]
    if any(len(key) < SHORTEST_KEY for key in found):
        raise ConfigurationError(
            f"{name} has a key of less than {SHORTEST_KEY} characters: make one with  openssl rand -hex 24"
        )
    return [sha256(key.encode()).digest() for key in found]


__all__ = ["SESSION_COOKIE", "SESSION_SECONDS", "SHARED_SECONDS", "PageAccess", "Role"]
