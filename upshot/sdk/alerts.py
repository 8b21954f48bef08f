"""Rules of alerts declared in an app's code."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from pydantic import ValidationError

from upshot.errors import Misuse
from upshot.schemas.alert_rules import AlertRule
from upshot.schemas.alerts import AlertKind
from upshot.schemas.fields import EARLIEST
from upshot.schemas.wording import place_in, sentence_of


class AlertRules:
    """The part of an app with rules of alerts."""

    def __init__(self) -> None:
        super().__init__()
        #: The rules by name, as `upshot alerts apply --app` finds them.
        self.alert_rules: dict[str, AlertRule] = {}

    def alert(
        self, name: str, *, kind: AlertKind = "score", notify: str | Sequence[str] = (), **fields: Any
    ) -> AlertRule:
        """Declare a rule: `app.alert("unhelpful", score="helpful", below=0.3, notify="oncall")`.

        `fields` are those of a rule (docs/alerts.md); lengths of time are timedeltas or ISO 8601. Nothing is
        sent: `upshot alerts apply --app support.app:app` writes the rules to the registry. Raises Misuse.
        """
        if unknown := sorted(fields.keys() - AlertRule.model_fields.keys()):
            raise Misuse(f"alert {name!r}: {unknown[0]!r} is no field of a rule")
        if name in self.alert_rules:
            raise Misuse(f"alert {name!r} is declared twice: give each rule a name of its own")
        stated = {**fields, "name": name, "kind": kind, "changed_at": EARLIEST}
        stated["notify"] = [notify] if isinstance(notify, str) else list(notify)
        stated |= {field: _text(value) for field, value in fields.items() if isinstance(value, timedelta)}
        try:
            rule = AlertRule.model_validate(stated)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            field = place_in(first)
            raise Misuse(f"alert {name!r}: {f'{field} ' if field else ''}{sentence_of(first)}") from None
        self.alert_rules[name] = rule
        return rule


def _text(length: timedelta) -> str:
    return f"PT{length.total_seconds():f}S"


__all__ = ["AlertRules"]
