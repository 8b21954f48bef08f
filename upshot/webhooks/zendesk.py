"""Zendesk's webhooks, unless an app has a mapping: `zendesk.ticket.status_changed` of `ticket:8841`."""

from __future__ import annotations

from typing import Any

from upshot.sources import Message, Source

_PREFIX = "zen:event-type:"
#: Fields taken over from the ticket: facts to score by, no texts.
_FACTS = (
    "status",
    "priority",
    "type",
    "via",
    "is_public",
    "assignee_id",
    "group_id",
    "organization_id",
    "tags",
)


def _kind(message: Message) -> Any:
    """An event of Zendesk's gets our prefix; a trigger's body has its type itself."""
    kind = _stated(message, "type")
    return "zendesk." + kind.removeprefix(_PREFIX) if _is_event(message) else kind


def _is_event(message: Message) -> bool:
    return str(_stated(message, "type")).startswith(_PREFIX)


def _stated(message: Message, name: str) -> Any:
    """The body's value under a name. Raises ValueError where there is none."""
    value = message.value
    if not isinstance(value, dict):
        raise ValueError(f"a webhook of Zendesk's is a JSON object, not {type(value).__name__}")
    if value.get(name) in (None, ""):
        raise ValueError(
            f"{name} is missing: an event of Zendesk's has one, and a trigger's body says it, "
            '{"type": "ticket.reopened", "subject": "ticket:{{ticket.id}}"}'
        )
    return value[name]


def _subject(message: Message) -> Any:
    subject = _stated(message, "subject")
    if not _is_event(message):
        return subject
    kind, _, number = str(subject).removeprefix("zen:").partition(":")
    return f"{kind}:{number}"


def _data(message: Message) -> Any:
    payload = message.value
    if not _is_event(message):
        return payload.get("data")
    detail, event = payload.get("detail") or {}, payload.get("event") or {}
    facts = {name: detail[name] for name in _FACTS if name in detail}
    return facts | {name: event[name] for name in ("current", "previous") if name in event}


ZENDESK = Source(
    webhook="zendesk",
    type=_kind,
    subject=_subject,
    id=lambda message: message.value.get("id") or message.headers.get("x-zendesk-webhook-invocation-id"),
    source=lambda message: (
        f"zendesk:{message.value.get('account_id') or message.headers.get('x-zendesk-account-id', '')}"
    ),
    time="time",
    data=_data,
)

__all__ = ["ZENDESK"]
