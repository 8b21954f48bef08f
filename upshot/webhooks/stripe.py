"""The default mapping of Stripe's webhooks: `stripe.charge.refunded` of `charge:ch_…`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from upshot.sources import Message, Source

#: The key of Stripe's metadata for the subject, where the agent doesn't know the charge.
SUBJECT = "upshot_subject"

#: Kinds of objects about a charge (or of events, where kinds share a name): news of the charge.
_OF_CHARGE = frozenset({"refund", "dispute", "review", "radar.early_fraud_warning"})
#: References by name, to an id or to the object itself in full.
_REFERENCES = (
    "charge",
    "customer",
    "invoice",
    "payment_intent",
    "payment_method",
    "setup_intent",
    "subscription",
    "latest_charge",
)
#: Fields taken over from the object: facts to score by, no personal data.
_FACTS = (
    "id",
    "object",
    "status",
    "reason",
    "livemode",
    "currency",
    "amount",
    "amount_captured",
    "amount_received",
    "amount_refunded",
    "amount_paid",
    "amount_due",
    "amount_remaining",
    "amount_total",
    "paid",
    "captured",
    "refunded",
    "disputed",
    "payment_status",
    "cancel_at_period_end",
    "cancellation_reason",
    "billing_reason",
    "attempt_count",
    "actionable",
    "fraud_type",
    "closed_reason",
    "opened_reason",
    "open",
    "failure_code",
    "failure_reason",
    "quantity",
)


def _object(message: Message) -> Mapping[str, Any]:
    """The object of the event. Raises ValueError for an event without its object."""
    value = message.value
    if not isinstance(value, dict):
        raise ValueError(f"a webhook of Stripe's is a JSON object, not {type(value).__name__}")
    data = value.get("data")
    about = data.get("object") if isinstance(data, dict) else None
    if isinstance(about, dict) and isinstance(about.get("object"), str):
        return about
    if value.get("object") == "v2.core.event" or "related_object" in value:
        raise ValueError(
            "this is a thin event: it names its object and holds none of its facts; let the event "
            "destination send snapshot events, or write a source of your own, app.map_outcomes(…, "
            "webhook='stripe', subject='charge:{related_object.id}', time='created')"
        )
    raise ValueError("data.object, the object that an event of Stripe's is about, is missing")


def _subject(message: Message) -> str:
    """The subject in the metadata; for news of a charge, the charge; else the object itself."""
    about = _object(message)
    if named := _named(about):
        return named
    if about["object"] in _OF_CHARGE:
        if named := _named(about.get("charge")) or _named(about.get("payment_intent")):
            return named
        intent = about.get("payment_intent")
        latest = intent.get("latest_charge") if isinstance(intent, dict) else None
        for kind, reference in (
            ("charge", about.get("charge")),
            ("charge", latest),
            ("payment_intent", intent),
        ):
            if found := _id(reference):
                return f"{kind}:{found}"
    if not _id(about):
        raise ValueError(
            f"the {about['object']} has no id, so it is no subject: name one in its metadata, {SUBJECT}"
        )
    return f"{about['object']}:{about['id']}"


def _named(about: Any) -> str | None:
    """The subject named by an object's metadata."""
    metadata = about.get("metadata") if isinstance(about, dict) else None
    named = metadata.get(SUBJECT) if isinstance(metadata, dict) else None
    return str(named) if named else None


def _id(reference: Any) -> str | None:
    """The id of a referenced object, which Stripe may send in full."""
    found = reference.get("id") if isinstance(reference, dict) else reference
    return found if isinstance(found, str) and found else None


def _time(message: Message) -> datetime | str:
    created = message.value.get("created")
    if isinstance(created, bool) or not isinstance(created, int | float | str):
        raise ValueError("created, the time of an event of Stripe's, is missing")
    return created if isinstance(created, str) else datetime.fromtimestamp(created, UTC)


def _id_of_event(message: Message) -> str | None:
    return _id(message.value)


def _data(message: Message) -> dict[str, Any]:
    about = _object(message)
    facts = {name: about[name] for name in _FACTS if name in about}
    references = {name: found for name in _REFERENCES if (found := _id(about.get(name)))}
    return facts | references | _before(message)


def _before(message: Message) -> dict[str, Any]:
    """The earlier facts, where the event has its changes."""
    before = message.value["data"].get("previous_attributes")
    facts = {name: before[name] for name in _FACTS if name in before} if isinstance(before, dict) else {}
    return {"previous": facts} if facts else {}


STRIPE = Source(
    webhook="stripe",
    type="stripe.{type}",
    subject=_subject,
    id=_id_of_event,
    source=lambda message: "stripe:" + (message.value.get("account") or "own"),
    time=_time,
    data=_data,
)

__all__ = ["STRIPE", "SUBJECT"]
