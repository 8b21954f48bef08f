"""The README of the batch engine names every method of Faust that it overrides."""

from __future__ import annotations

from pathlib import Path

import pytest

from upshot.streams.runtime import app, consumer, recovery, store, table

README = Path(__file__).parents[2] / "streams" / "runtime" / "README.md"
FOREIGN = ("faust", "mode")


def overridden(cls: type) -> list[str]:
    """Methods of `cls` that a class of Faust or mode below it has too."""
    below = [base for base in cls.__mro__[1:] if base.__module__.partition(".")[0] in FOREIGN]
    return [
        name
        for name, value in vars(cls).items()
        if (callable(value) or isinstance(value, property) or hasattr(value, "fun"))
        and not (name.startswith("__") or isinstance(value, type))
        and any(name in vars(base) for base in below)
    ]


@pytest.mark.parametrize(
    "cls",
    [
        app.BatchApp,
        app.BatchProducer,
        consumer.BatchConsumer,
        consumer.BatchConsumerThread,
        consumer.RebalanceListener,
        recovery.BatchRecovery,
        table.BatchTable,
        table.BatchTableManager,
        store.PartitionStore,
    ],
)
def test_every_override_is_explained(cls: type) -> None:
    rows = [
        line
        for line in README.read_text().splitlines()
        if line.startswith("|") and f"`{cls.__name__}" in line
    ]
    names = overridden(cls)
    assert names, f"{cls.__name__} overrides nothing: why is it there?"
    missing = [name for name in names if not any(f"`{name}`" in row or f".{name}`" in row for row in rows)]
    assert not missing, f"README.md does not say why {cls.__name__} overrides {missing}"
