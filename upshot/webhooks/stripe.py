"""What Stripe's webhooks mean, unless an app says otherwise: `stripe.charge.refunded` of `charge:ch_…`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from upshot.sources import Message, Source

#: Metadata at Stripe that names the subject, where the charge isn't what the agent knows.
SUBJECT = "upshot_subject"

#: What is taken over of the object: facts to score by, no personal data.
_FACTS = (
    "id",
    "object",
    "status",
    "reason",
    "livemode",
    "currency",
    "amount",
    "amount_captured",
    "amount_refunded",
    "amount_paid",
    "amount_due",
    "amount_total",
    "paid",
    "refunded",
    "disputed",
    "payment_status",
    "cancel_at_period_end",
    "customer",
    "charge",
    "payment_intent",
    "invoice",
    "subscription",
)


def _subject(message: Message) -> str:
    """What the metadata say; of a refund or dispute its charge; else the object itself."""
    about = message.value["data"]["object"]
    named = (about.get("metadata") or {}).get(SUBJECT)
    if named:
        return str(named)
    if about["object"] in ("refund", "dispute") and isinstance(about.get("charge"), str):
        return f"charge:{about['charge']}"
    return f"{about['object']}:{about['id']}"


def _data(message: Message) -> dict[str, Any]:
    about = message.value["data"]["object"]
    return {name: about[name] for name in _FACTS if name in about}


STRIPE = Source(
    webhook="stripe",
    type="stripe.{type}",
    subject=_subject,
    id="{id}",
    source=lambda message: "stripe:" + (message.value.get("account") or "own"),
    time=lambda message: datetime.fromtimestamp(message.value["created"], UTC),
    data=_data,
)

__all__ = ["STRIPE", "SUBJECT"]
