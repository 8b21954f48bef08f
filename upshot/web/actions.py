"""Changing actions: each is confirmed and has a reason, and the log says who did what, and why."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping
from typing import Any

from upshot.ingest.answers import Problem
from upshot.plain_text import plain
from upshot.streams.kafka.logs import OneLine

#: Every changing action is a line here.
ACTIONS = logging.getLogger("upshot.web.actions")
_LONGEST_REASON = 500


def log_actions() -> None:
    """Write actions to stderr, a line each, whatever else the process logs."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(OneLine())
    ACTIONS.addHandler(handler)
    ACTIONS.setLevel(logging.INFO)


def confirmed_reason(form: Mapping[str, Any], fate: str) -> str:
    """The reason in a form. Raises Problem, with what didn't happen, for a form without reason or without
    confirmation.
    """
    why = str(form.get("why", "")).strip()[:_LONGEST_REASON]
    if not why or form.get("sure") != "1":
        raise Problem(400, f"say why, and confirm; {fate}")
    return why


def log_action(what: str, remote: str | None, role: str, why: str) -> None:
    """Write one action."""
    ACTIONS.info("%s: by %s (%s), because %s", plain(what), remote, role, plain(why))


__all__ = ["ACTIONS", "confirmed_reason", "log_action", "log_actions"]
