"""`/alerts/receivers`: how each receiver fares, and receivers that rules name and nobody has set up."""

from __future__ import annotations

import asyncio
from typing import Any

from upshot.errors import ConfigurationError
from upshot.insights.pages.alert_rules import NAMED_RECEIVERS, RECEIVERS
from upshot.receivers.configured import read_receivers
from upshot.settings import Settings
from upshot.web.site import PageRequest
from upshot.web.views import View

_NONE: dict[str, Any] = {
    "sent": 0, "waiting": 0, "failed": 0, "dropped": 0, "last_sent_at": None, "last_failed_at": None,
    "error": "", "last_status": None, "next_attempt_at": None, "failing": False, "kind": "unknown",
}  # fmt: skip


async def receivers(asked: PageRequest) -> View:
    """Every receiver of the settings, of the rules, and of the last days' notices. No address, no secret."""
    fares, named = await asyncio.gather(asked.rows(RECEIVERS), asked.rows(NAMED_RECEIVERS))
    kinds, trouble = _configured(asked.site.settings)
    by_name = {fare["receiver"]: fare for fare in fares}
    rules = {row["receiver"]: row["rules"] for row in named}
    shown = [
        {
            **_NONE,
            **by_name.get(name, {}),
            "receiver": name,
            "kind": kinds.get(name) or by_name.get(name, _NONE)["kind"],
            "is_set_up": name in kinds,
            "rules": rules.get(name, []),
            "state": _state(name in kinds, by_name.get(name, _NONE)),
        }
        for name in sorted({*kinds, *rules, *by_name})
    ]
    return View(
        "receivers.html", "Receivers of alerts", {"receivers": shown, "trouble": trouble}, export=RECEIVERS
    )


def _configured(settings: Settings) -> tuple[dict[str, str], str]:
    """The kinds of receivers by name, as far as this server's settings know; and why they can't be read."""
    try:
        return {
            name: str(getattr(one, "kind", "unknown"))
            for name, one in read_receivers(settings).by_name.items()
        }, ""
    except ConfigurationError as error:
        return {}, str(error)


def _state(is_set_up: bool, fare: dict[str, Any]) -> str:
    if not is_set_up:
        return "not set up"
    if fare["failing"]:
        return "switched off" if fare["last_status"] == 410 else "failing"
    return "well" if fare["last_sent_at"] else "unused"


__all__ = ["receivers"]
