"""Small pages around the others: the time zone, signing in with a key, sharing a page."""

from __future__ import annotations

from time import time
from zoneinfo import available_timezones

from aiohttp import web

from upshot.ingest.answers import Problem
from upshot.web.access import SESSION_COOKIE, SESSION_SECONDS, SHARED_SECONDS
from upshot.web.formats import zone_of
from upshot.web.site import ZONE_COOKIE, PageHandler, PageRequest
from upshot.web.urls import JSON, url
from upshot.web.views import View

_A_DAY = 86_400


def own_path(text: str) -> str:
    """A path of this server; anything else is its first page."""
    return text if text.startswith("/") and not text.startswith(("//", "/\\")) and text.isprintable() else "/"


def moved(path: str) -> PageHandler:
    """Leads from the earlier path of a page to the present one; the parameters stay."""

    async def page(asked: PageRequest) -> View | web.StreamResponse:
        ending = JSON if asked.means_json else ""
        raise web.HTTPMovedPermanently(str(url(f"{path}{ending}", query=asked.query.rest())))

    return page


async def zone(asked: PageRequest) -> View | web.StreamResponse:
    """A choice of time zones; chosen, the cookie remembers it."""
    chosen, back = asked.query.text("choose"), own_path(asked.query.text("back", "/"))
    if not chosen:
        zones = sorted(available_timezones())
        return View(
            "zone.html", "Time zone", {"zones": zones, "zone": asked.frame.clock.zone}, {"back": back}
        )
    if zone_of(chosen) is None:
        raise Problem(400, f"there is no time zone {chosen[:80]!r}: write Europe/Berlin or UTC")
    response = web.HTTPSeeOther(back)
    response.set_cookie(ZONE_COOKIE, chosen, max_age=31_536_000, samesite="Lax", httponly=True)
    raise response


async def login(asked: PageRequest) -> View | web.StreamResponse:
    """A form for a key."""
    return View(
        "login.html", "Sign in", {"by_key": asked.frame.by_key, "role": asked.frame.role}, {"refusal": ""}
    )


async def sign_in(asked: PageRequest) -> View | web.StreamResponse:
    """A session for the holder of a key. Nothing secret depends on the form's origin, so no proof of it."""
    form = await asked.request.post()
    if form.get("leave"):
        response = web.HTTPSeeOther("/login")
        response.del_cookie(SESSION_COOKIE)
        raise response
    role = asked.site.access.role_of_key(str(form.get("key", "")).strip())
    if role == "nobody":
        extras = {"refusal": "This is neither a viewer's nor an operator's key."}
        return View(
            "login.html", "Sign in", {"by_key": asked.frame.by_key, "role": "nobody"}, extras, status=403
        )
    response = web.HTTPSeeOther("/")
    is_secure = asked.site.settings.public_url.startswith("https:")
    response.set_cookie(
        SESSION_COOKIE,
        asked.site.access.session(role, time()),
        max_age=SESSION_SECONDS,
        httponly=True,
        samesite="Strict",
        secure=is_secure,
    )
    raise response


async def share(asked: PageRequest) -> View:
    """A signed address of one page, for people without a key."""
    if not asked.site.access.can_share:
        raise Problem(
            409, "set UPSHOT_LINK_SECRET, UPSHOT_VIEWER_KEYS or UPSHOT_OPERATOR_KEYS to share pages"
        )
    page = own_path(asked.query.text("page", "/"))
    days = asked.query.whole("days", 7, 1, SHARED_SECONDS // _A_DAY)
    until = int(time()) + days * _A_DAY
    address = asked.site.settings.public_url.rstrip("/") + asked.site.access.shared(page, until)
    return View("share.html", "Share a page", {"page": page, "days": days, "address": address})


__all__ = ["login", "moved", "own_path", "share", "sign_in", "zone"]
