"""Files of rules: YAML to rules, or a sentence that says what to write."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from difflib import get_close_matches
from typing import Any

import yaml
from pydantic import ValidationError

from upshot.alerts.messages import FACTS, length, places_in
from upshot.errors import ConfigurationError
from upshot.schemas.alert_rules import SHORTEST_EVERY, AlertRule
from upshot.schemas.wording import place_in, sentence_of

#: Fields that the registry fills in.
_OWN = frozenset(
    {"schema_version", "changed_at", "changed_by", "version", "muted_until", "muted_reason", "judged_since"}
)
FIELDS = tuple(name for name in AlertRule.model_fields if name not in _OWN)
_LENGTHS = frozenset({"window", "every", "versus", "max_age", "digest", "cooldown"})
#: Fields with a list, for which a single name may stand.
_LISTS = ("notify", "by")
#: Fields with a number.
_LINES = ("below", "above", "recover", "drop")
_ISO = {"s": "PT{}S", "m": "PT{}M", "min": "PT{}M", "h": "PT{}H", "d": "P{}D"}
NOTHING_CHANGED = "nothing was changed"


class _OnceEach(yaml.SafeLoader):
    """Refuses a field stated twice: YAML's readers would silently take the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and not key.tag.endswith(":merge"):
                if key.value in seen:
                    problem = f"`{key.value}` is stated twice"
                    raise yaml.constructor.ConstructorError(problem=problem, problem_mark=key.start_mark)
                seen.add(key.value)
        return super().construct_mapping(node, deep)


def parse_rules(text: str, source: str, now: datetime) -> list[AlertRule]:
    """The rules in a YAML text. Raises ConfigurationError naming the rule, the fault and the remedy."""
    try:
        found = yaml.load(text, _OnceEach)
    except RecursionError:
        raise ConfigurationError(f"{source}: is nested too deeply for rules; {NOTHING_CHANGED}") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or "it can't be read"
        raise ConfigurationError(f"{source}{where}: is no YAML: {problem}; {NOTHING_CHANGED}") from None
    listed = found.get("rules") if isinstance(found, dict) else found
    if not isinstance(listed, list) or not listed:
        raise ConfigurationError(
            f"{source}: has no rules: write `rules:` and a list, each with `name` and `kind`; "
            f"{NOTHING_CHANGED}"
        )
    rules = [rule_of(one, f"{source}, rule {number}", source, now) for number, one in enumerate(listed, 1)]
    names = [rule.name for rule in rules]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ConfigurationError(f"{source}: has two rules named {twice[0]!r}; {NOTHING_CHANGED}")
    return rules


def rule_of(stated: Any, where: str, source: str, now: datetime) -> AlertRule:
    """One rule from its fields. Raises ConfigurationError."""
    if not isinstance(stated, Mapping):
        raise ConfigurationError(f"{where}: is no mapping of fields to values; {NOTHING_CHANGED}")
    if isinstance(stated.get("name"), str):
        where = f"{source}, rule {stated['name']!r}"
    for name in stated:
        if name not in FIELDS:
            raise ConfigurationError(
                f"{where}: `{name}` is no field of a rule{_perhaps(str(name), FIELDS)}; {NOTHING_CHANGED}"
            )
    fields = {name: _length(value) if name in _LENGTHS else value for name, value in stated.items()}
    fields["where"] = _texts(fields.get("where") or {})
    for name in _LISTS:
        if isinstance(fields.get(name), str):
            fields[name] = [fields[name]]
    if wrong := _misunderstood(fields):
        raise ConfigurationError(f"{where}: {wrong}; {NOTHING_CHANGED}")
    try:
        rule = AlertRule.model_validate({**fields, "changed_at": now, "changed_by": source})
    except ValidationError as error:
        raise ConfigurationError(f"{where}: {_fault(error)}; {NOTHING_CHANGED}") from None
    _check_message(rule, where)
    if rule.kind == "rate" and rule.judged_every > rule.length:
        times = f"`every` ({length(rule.judged_every)}) is longer than `window` ({length(rule.length)})"
        raise ConfigurationError(
            f"{where}: {times}: scores in between would never be judged; write `every: {_short(rule)}`; "
            f"{NOTHING_CHANGED}"
        )
    return rule


def _short(rule: AlertRule) -> str:
    return f"PT{max(SHORTEST_EVERY, rule.length).total_seconds():g}S"


def _misunderstood(fields: Mapping[str, Any]) -> str:
    """What the schema would read as something else; empty where there is nothing of the kind."""
    for name in _LINES:
        if isinstance(fields.get(name), bool):
            stated = str(fields[name]).lower()
            return f"`{name}` must be a number, not {stated}; for booleans write `equals: {stated}`"
    where, by = fields["where"], fields.get("by")
    if isinstance(where, Mapping) and (odd := [name for name, text in where.items() if text is None]):
        return f"`where.{odd[0]}` must be a text, a number, true or false"
    if isinstance(by, list) and (twice := [name for name in by if by.count(name) > 1]):
        return f"`by` names {twice[0]!r} twice"
    return ""


def _fault(error: ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    field = place_in(first)
    if first["type"] == "missing" and field in ("name", "kind"):
        return f"`{field}` is missing: write `{field}: {'low helpfulness' if field == 'name' else 'score'}`"
    sentence = sentence_of(first)
    if field in _LENGTHS:
        sentence = "must be a length of time such as 5m, 1h, 7d or PT30S"
    return f"`{field}` {sentence}" if field else sentence


def _check_message(rule: AlertRule, where: str) -> None:
    known = FACTS | rule.where.keys() | rule.variants.keys() | set(rule.by)
    if unknown := sorted(places_in(rule.message) - known):
        raise ConfigurationError(
            f"{where}: `message` names {{{unknown[0]}}}, which no alert has: there are "
            f"{', '.join(sorted(known))}; {NOTHING_CHANGED}"
        )


def _length(value: Any) -> Any:
    """`5m` and its like as ISO 8601."""
    if isinstance(value, str):
        number = value.strip().rstrip("dhimns ")
        unit = value.strip()[len(number) :].strip()
        if unit in _ISO and number.isascii() and number.isdigit():
            return _ISO[unit].format(number)
    return value


def _texts(stated: Any) -> Any:
    """Attributes are compared as text: `true` and `3` are texts, too."""
    if not isinstance(stated, Mapping):
        return stated
    return {
        str(name): str(value).lower()
        if isinstance(value, bool)
        else str(value)
        if isinstance(value, str | int | float | date)
        else None
        for name, value in stated.items()
    }


def _perhaps(name: str, known: tuple[str, ...]) -> str:
    close = get_close_matches(name, known, 1)
    return f": did you mean `{close[0]}`?" if close else f": there are {', '.join(known)}"


def merged(rule: AlertRule, present: AlertRule | None) -> AlertRule | None:
    """The record to be written: a version more than the present, whose mute goes on; None: no change.

    A silence under way goes on, too, unless the rule judges otherwise than before.
    """
    if present is None:
        return rule
    ours = rule.model_copy(
        update={
            "version": present.version + 1,
            "muted_until": present.muted_until,
            "muted_reason": present.muted_reason,
            "judged_since": present.begins_at if rule.judgement == present.judgement else None,
        }
    )
    same = {"version", "changed_at", "changed_by", "judged_since"}
    return None if ours.model_dump(exclude=same) == present.model_dump(exclude=same) else ours


__all__ = ["FIELDS", "NOTHING_CHANGED", "merged", "parse_rules", "rule_of"]
