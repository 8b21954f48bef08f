"""A slice of work takes about as long as it should, however long a key takes."""

from __future__ import annotations

import pytest

from upshot.processors.batch_size import AIM, LARGEST, LEAST, AdaptiveBatchSize


class Clock:
    """Time that passes when a test says so."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def work(per_key: float, slices: int = 20) -> AdaptiveBatchSize:
    clock = Clock()
    found = AdaptiveBatchSize(clock)
    for _ in range(slices):
        with found.timed() as done:
            done.keys = found.keys
            clock.now += found.keys * per_key
    return found


@pytest.mark.parametrize("per_key", [20e-6, 50e-6, 500e-6])
def test_it_comes_to_take_what_it_should(per_key: float) -> None:
    assert work(per_key).keys * per_key == pytest.approx(AIM, rel=0.05)


def test_it_is_never_nothing_and_never_endless() -> None:
    assert work(10.0).keys == LEAST
    assert work(0.0).keys == LARGEST


def test_it_grows_step_by_step() -> None:
    assert work(1e-9, slices=1).keys == 2 * AdaptiveBatchSize().keys


def test_a_slice_of_a_few_keys_teaches_nothing() -> None:
    clock = Clock()
    found = AdaptiveBatchSize(clock)
    before = found.keys
    with found.timed() as done:
        done.keys = LEAST - 1
        clock.now += 10
    assert found.keys == before
