"""A step that comes as a plain event gets its cost from the price table, like one that comes as a span."""

from __future__ import annotations

from typing import Any

import pytest

from tests.store.conftest import record, unpack
from upshot.otel import price_table, unpriced
from upshot.processors.store import rows as rows_module
from upshot.processors.store.packed import Row
from upshot.processors.store.rows import row_of

STEP = {"run_id": "r1", "step_id": "s1", "name": "draft", "started_at": "2026-01-01T12:00:00Z"}
USED = {"model": "gpt-4o-mini", "input_tokens": 1000, "output_tokens": 100}


def cost(said: dict[str, Any], **changed: Any) -> tuple[float | None, str]:
    row = row_of("steps", record("steps", STEP | said, **changed), price_table())
    assert isinstance(row, Row)
    values = unpack(row)
    return values["cost_usd"], values["cost_source"]


@pytest.mark.parametrize(
    ("said", "usd", "source"),
    [
        (USED, 0.00021, "table"),
        (USED | {"provider": "OpenAI"}, 0.00021, "table"),
        (USED | {"model": "openai/gpt-4o-mini"}, 0.00021, "table"),
        (USED | {"cached_input_tokens": 1000}, 0.000135, "table"),
        (USED | {"cost_usd": 3.0, "cost_source": "given"}, 3.0, "given"),
        (USED | {"cost_usd": 0.0}, 0.0, ""),
        (USED | {"model": "house/llama"}, None, ""),
        (USED | {"provider": "our-own-machines"}, None, ""),
        (USED | {"cached_input_tokens": 1001}, None, ""),
        ({"model": "gpt-4o-mini"}, None, ""),
        ({"input_tokens": 1000, "output_tokens": 100}, None, ""),
    ],
    ids=str,
)
def test_cost_of_a_plain_step(said: dict[str, Any], usd: float | None, source: str) -> None:
    assert cost(said) == (usd if usd is None else pytest.approx(usd), source)


def test_the_same_record_is_the_same_row() -> None:
    rows = [row_of("steps", record("steps", STEP | USED), price_table()) for _ in range(2)]
    assert rows[0] == rows[1]


def test_without_a_table_nothing_is_priced() -> None:
    row = row_of("steps", record("steps", STEP | USED), unpriced)
    assert isinstance(row, Row) and unpack(row)["cost_usd"] is None


def test_the_reader_of_steps_is_made_once_for_its_prices(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[object] = []
    make = rows_module._either

    def counted(*arguments: Any) -> Any:
        made.append(arguments)
        return make(*arguments)

    monkeypatch.setattr(rows_module, "_either", counted)
    prices = price_table()
    for _ in range(3):
        assert isinstance(row_of("steps", record("steps", STEP | USED), prices), Row)
    assert len(made) <= 1


def test_each_price_table_keeps_to_its_own_prices() -> None:
    sent = record("steps", STEP | USED)
    dear = row_of("steps", sent, lambda *_: 7.0)
    assert isinstance(dear, Row)
    assert unpack(dear)["cost_usd"] == 7.0
    assert cost(USED) == (0.00021, "table")
