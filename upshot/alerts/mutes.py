"""The mute of a rule, and whether the rule is judged and notifies: pure, now is passed in."""

from __future__ import annotations

from datetime import datetime, timedelta

from upshot.schemas.alert_rules import AlertRule


def with_mute(rule: AlertRule, length: timedelta | None, reason: str, by: str, now: datetime) -> AlertRule:
    """The rule's next record: muted for so long, or not muted any more where `length` is None.

    Silences and windows go on as if nothing had happened: a mute delays no alert.
    """
    return rule.model_copy(
        update={
            "muted_until": None if length is None else now + length,
            "muted_reason": "" if length is None else reason,
            "version": rule.version + 1,
            "changed_at": now,
            "judged_since": rule.begins_at,
            "changed_by": by,
        }
    )


def is_muted(rule: AlertRule, now: datetime) -> bool:
    """Whether the rule notifies nobody of what fires now."""
    return rule.muted_until is not None and rule.muted_until > now


__all__ = ["is_muted", "with_mute"]
