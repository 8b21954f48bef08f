"""Several metrics and segments at once."""

from __future__ import annotations

import numpy as np
import pytest
from statsmodels.stats.multitest import multipletests

from upshot.insights.statistics.multiplicity import e_bh, holm


def test_holm_is_statsmodels() -> None:
    p = {f"m{i}": float(value) for i, value in enumerate(np.random.default_rng(1).uniform(0, 0.2, 12))}
    oracle = multipletests(list(p.values()), method="holm")[1]
    assert list(holm(p)[name] for name in p) == pytest.approx(list(oracle), rel=1e-12)
    assert holm({}) == {}


def test_e_bh_takes_the_largest_k_that_holds() -> None:
    assert e_bh({"a": 100.0, "b": 30.0, "c": 1.0, "d": 0.2}, 0.05) == {"a"}
    assert e_bh({"a": 79.0, "b": 45.0, "c": 27.0, "d": 0.2}, 0.05) == {"a", "b", "c"}
    assert e_bh({"a": 19.9}, 0.05) == set()
    assert e_bh({}, 0.05) == set()
