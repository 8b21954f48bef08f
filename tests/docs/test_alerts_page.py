"""The page on alerts: its rules are read, its Python runs, and both say the same."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from upshot.alerts.files import FIELDS, parse_rules

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "alerts.md"
NOW = datetime(2026, 5, 6, tzinfo=UTC)


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE.read_text(), re.DOTALL | re.MULTILINE)


def test_the_rules_of_the_page_and_of_the_example_are_read() -> None:
    texts = [*blocks("yaml"), (ROOT / "examples" / "alerts" / "rules.yaml").read_text()]
    kinds = {rule.kind for text in texts for rule in parse_rules(text, "page", NOW)}
    assert kinds == {"score", "rate", "silence", "pending_for", "guardrail"}
    assert sum(len(yaml.safe_load(text)["rules"]) for text in texts) == 9


def test_the_code_of_the_page_declares_the_rule_of_its_yaml(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    [code] = blocks("python")
    names: dict[str, Any] = {"__name__": "page"}
    exec(compile(code, str(PAGE), "exec"), names)
    [declared] = names["app"].alert_rules.values()
    [written] = parse_rules(blocks("yaml")[0], "page", NOW)
    assert declared.model_copy(update={"changed_at": NOW, "changed_by": "page"}) == written


def test_every_field_of_a_rule_stands_on_the_page() -> None:
    named = set(re.findall(r"[a-z_]+", PAGE.read_text()))
    assert set(FIELDS) - named - {"metric", "enabled"} == set()
