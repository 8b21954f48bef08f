"""Rules against the ledger: names that nobody has sent, and lines that no score can cross."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches

from upshot.insights.reader import Reader
from upshot.schemas.alert_rules import AlertRule

_NAMES = """\
SELECT name, max(kind) AS kind FROM
(
    SELECT toString(name) AS name, toString(kind) AS kind FROM score_kinds
    UNION ALL
    SELECT DISTINCT toString(name) AS name, '' AS kind FROM waits WHERE reply_to = ''
    UNION ALL
    SELECT DISTINCT toString(scorer) AS name, '' AS kind FROM deferrals
)
GROUP BY name
ORDER BY name"""
_ATTRIBUTES = """\
SELECT DISTINCT name FROM
(
    SELECT toString(arrayJoin(mapKeys(attributes))) AS name
    FROM (SELECT attributes FROM runs ORDER BY recorded_at DESC LIMIT 100000)
    UNION ALL
    SELECT toString(arrayJoin(mapKeys(attributes))) AS name
    FROM (SELECT attributes FROM scores WHERE name = {score:String} LIMIT 100000)
)
ORDER BY name"""
_EXPERIMENTS = "SELECT DISTINCT experiment FROM experiment_changes ORDER BY experiment"


def faults(reader: Reader, rule: AlertRule) -> list[str]:
    """Why the rule may never fire, in sentences; empty where nothing speaks against it."""
    return [*_score(reader, rule), *_attributes(reader, rule), *_experiment(reader, rule)]


def impossible(rule: AlertRule, kind: str) -> str:
    """Why no score of this kind (`number`, `boolean`) can ever cross the rule's line; empty where one can."""
    if rule.kind not in ("score", "rate") or kind != "boolean":
        return ""
    if rule.below is not None and rule.below <= 0:
        return f"is never below {rule.below:g}: false is 0 and true is 1; write `equals: false`"
    if rule.above is not None and rule.above >= 1:
        return f"is never above {rule.above:g}: false is 0 and true is 1; write `equals: true`"
    if rule.equals is not None and float(rule.equals) not in (0.0, 1.0):
        return f"is never {rule.equals:g}: write `equals: false` or `equals: true`"
    if rule.drop is not None and rule.drop > 1:
        return f"can't drop by {rule.drop:g}: shares lie between 0 and 1; write `drop: 0.1` for 10 points"
    return ""


def _score(reader: Reader, rule: AlertRule) -> Iterator[str]:
    if rule.score is None:
        return
    kinds = {name: kind for name, kind in reader.query(_NAMES).rows}
    if rule.score not in kinds:
        yield f"no score or wait is named {rule.score!r} so far{_perhaps(rule.score, list(kinds))}"
    elif why := impossible(rule, kinds[rule.score]):
        yield f"the score {rule.score!r} {why}"


def _attributes(reader: Reader, rule: AlertRule) -> Iterator[str]:
    names = [name for name in (*rule.where, *rule.by) if name != "agent" and not name.startswith("variant:")]
    if names:
        known = [name for (name,) in reader.query(_ATTRIBUTES, {"score": rule.score or ""}).rows]
        for name in names:
            if name not in known:
                yield f"no run and no score has an attribute {name!r} so far{_perhaps(name, known)}"


def _experiment(reader: Reader, rule: AlertRule) -> Iterator[str]:
    named = [rule.experiment] if rule.experiment else []
    named += [*rule.variants, *(name[8:] for name in rule.by if name.startswith("variant:"))]
    if named:
        known = [name for (name,) in reader.query(_EXPERIMENTS).rows]
        for name in named:
            if name not in known:
                yield f"the registry has no experiment {name!r}{_perhaps(name, known)}"


def _perhaps(name: str, known: list[str]) -> str:
    close = get_close_matches(name, known, 1)
    return f": did you mean {close[0]!r}?" if close else ""


__all__ = ["faults", "impossible"]
