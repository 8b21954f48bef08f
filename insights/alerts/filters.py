"""A rule's filters as conditions of SQL."""

from __future__ import annotations

from collections.abc import Callable

from upshot.schemas.alert_rules import AlertRule


def rule_filters(
    rule: AlertRule, agent: str, attribute: Callable[[str], str]
) -> tuple[list[str], dict[str, object]]:
    """The conditions, and their parameters.

    `agent` is the SQL of an agent's name, `attribute` makes the SQL of an attribute out of that of its name.
    Variants, of rules that may name some, are looked up in the column `exposures`.
    """
    found: list[str] = []
    parameters: dict[str, object] = {}
    if rule.agent is not None:
        found.append(f"{agent} = {{agent:String}}")
        parameters["agent"] = rule.agent
    for number, (name, value) in enumerate(rule.where.items()):
        found.append(f"{attribute(f'{{where{number}:String}}')} = {{is{number}:String}}")
        parameters |= {f"where{number}": name, f"is{number}": value}
    for number, (name, value) in enumerate(rule.variants.items()):
        pair = f"({{exp{number}:String}}, {{arm{number}:String}})"
        found.append(f"has(arrayMap(each -> (each.1, each.2), exposures), {pair})")
        parameters |= {f"exp{number}": name, f"arm{number}": value}
    return found, parameters


__all__ = ["rule_filters"]
