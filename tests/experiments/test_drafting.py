"""Experiments and their sizes as people write them: texts that can be meant, and sentences for the others."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from upshot.errors import ConfigurationError
from upshot.insights.experiments.drafting import StatedExperiment, drafted, parse_share, parse_weights
from upshot.insights.experiments.sizing import StatedSize, needed

NOW = datetime(2026, 6, 1, tzinfo=UTC)
STATED = StatedExperiment("tone", "plain", "plain=1, warm = 3", decide=("solved:rate:P7D",), mde=0.05)


def test_a_draft_has_what_was_written() -> None:
    draft = drafted(
        replace(STATED, guard=("cost_usd:mean:+10%",), traffic="20%", unit="user", cap="P28D"), NOW
    )
    assert draft.cap == timedelta(days=28)
    assert (draft.status, draft.strategy, draft.traffic) == ("draft", "bucket", 0.2)
    assert draft.variants == {"plain": 1.0, "warm": 3.0}
    assert [(each.name, each.role) for each in draft.metrics] == [
        ("solved", "decision"),
        ("cost_usd", "guardrail"),
    ]
    assert draft.planned_units and draft.planned_units > 6_000, "from the effect, for uneven weights"


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"name": ""}, "experiment: "),
        ({"control": "cold"}, "control"),
        ({"variants": "plain=x"}, "NAME=WEIGHT"),
        ({"variants": "plain=0,warm=0"}, "above zero"),
        ({"variants": "plain=nan,warm=1"}, "the weight of 'plain' is nan: write a finite number"),
        ({"variants": "plain=1,warm=-1"}, "the weight of 'warm' is -1: write a finite number"),
        ({"variants": "plain=inf,warm=1"}, "the weight of 'plain' is inf: write a finite number"),
        ({"variants": ""}, "above zero"),
        ({"traffic": "120%"}, "traffic is a share"),
        ({"traffic": "nan"}, "traffic is a share"),
        ({"audience": "(("}, "audience: .*JMESPath"),
        ({"layer": ("support",)}, "support:0-500"),
        ({"layer": ("a:0-5", "b:0-5")}, "one layer"),
        ({"holdout": "global"}, "global:5%"),
        ({"decide": ("solved:often",)}, "NAME:rate:P7D"),
        ({"guard": ("cost_usd:mean",)}, "margin"),
        ({"mde": 1e-300}, "so small an effect"),
        ({"mde": float("nan")}, "so small an effect"),
        ({"alpha": 7.0}, "alpha: "),
        ({"planned": -5}, "planned_units: "),
        ({"cap": "a month"}, "cap: "),
    ],
)
def test_what_cannot_be_meant_is_a_sentence(change: dict[str, object], sentence: str) -> None:
    with pytest.raises(ConfigurationError, match=sentence):
        drafted(replace(STATED, **change), NOW)  # type: ignore[arg-type]


def test_weights_and_shares() -> None:
    assert parse_weights("a=9, b ,") == {"a": 9.0, "b": 1.0}
    assert parse_share(" 20% ") == parse_share("0.2") == 0.2


def test_a_size() -> None:
    found = needed(StatedSize("5%", rate="40%", per_day=100))
    assert (found.daily, found.once) == (5_862, 3_062)
    assert found.sentence.endswith("58.6 days, and the window until the last of them is mature")


@pytest.mark.parametrize(
    "stated",
    [
        StatedSize("x"),
        StatedSize("nan", rate="40%"),
        StatedSize("1e-300", rate="40%"),
        StatedSize("0", rate="40%"),
        StatedSize("5%"),
        StatedSize("5%", rate="99%"),
        StatedSize("5%", rate="40%", weights="1"),
        StatedSize("5%", rate="40%", weights="1,-1"),
        StatedSize("5%", mean=1.0, deviation=1e300),
        StatedSize("5%", mean=1.0, deviation=float("nan")),
        StatedSize("5%", rate="40%", per_day=0.0),
        StatedSize("5%", rate="40%", per_day=float("nan")),
    ],
)
def test_a_size_that_cannot_be_told_is_a_sentence(stated: StatedSize) -> None:
    with pytest.raises(ConfigurationError):
        needed(stated)
