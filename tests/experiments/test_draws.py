"""The hash: published vectors of MurmurHash3, golden values of our own, and properties of assignments."""

from __future__ import annotations

import json
import struct
from importlib.resources import files
from math import log
from pathlib import Path
from typing import Any

import mmh3
import pytest

from upshot.experiments.draws import HASH, TRAFFIC, Arms, draw, part
from upshot.insights.experiments import verify

VECTORS: dict[str, Any] = json.loads(
    (files("upshot.experiments") / "vectors.json").read_text(encoding="utf-8")
)
USERS = [f"user-{number}" for number in range(20_000)]


@pytest.mark.parametrize(
    ("text", "seed", "expected"),
    [("", 1, 0x514E28B7), ("test", 0, 0xBA6BD213), ("Hello, world!", 0x9747B28C, 0x24884CBA)],
)
def test_murmurhash_is_the_published_one(text: str, seed: int, expected: int) -> None:
    assert mmh3.hash(text, seed, signed=False) == expected


@pytest.mark.parametrize(("x64", "expected"), [(False, 0xB0F57EE3), (True, 0x6384BA69)])
def test_smhasher_verifies_the_hash(x64: bool, expected: int) -> None:
    """Keys of 0 to 255 bytes with seeds of 256 down to 1, and all results hashed once more."""

    def hashed(data: bytes, seed: int) -> bytes:
        if x64:
            return mmh3.hash_bytes(data, seed, True)
        return struct.pack("<I", mmh3.hash(data, seed, signed=False))

    joined = b"".join(hashed(bytes(range(length)), 256 - length) for length in range(256))
    assert int.from_bytes(hashed(joined, 0)[:4], "little") == expected


def test_golden_assignments() -> None:
    assert VECTORS["hash"] == HASH
    for golden in VECTORS["assignments"]:
        arms = Arms(golden["experiment"], golden["weights"])
        assert arms.choose(golden["unit"]) == golden["variant"], golden
        assert arms.probabilities[golden["variant"]] == golden["probability"]
        for arm, expected in golden["draws"].items():
            assert draw(HASH, golden["experiment"], golden["unit"], arm) == expected
    for golden in VECTORS["draws"]:
        assert draw(*golden["parts"]) == golden["draw"], golden


def test_the_recipe_of_the_vectors_written_out() -> None:
    """A port needs nothing but the recipe's words."""
    for golden in VECTORS["assignments"]:
        distances = {}
        for arm in sorted(golden["weights"]):
            parts = ("upshot-1", golden["experiment"], golden["unit"], arm)
            data = b"".join(str(len(p.encode())).encode() + b":" + p.encode() for p in parts)
            low = int.from_bytes(mmh3.hash_bytes(data, 0, True)[:8], "little")
            if golden["weights"][arm] > 0:
                distances[arm] = -log(((low >> 11) + 0.5) / 2**53) / golden["weights"][arm]
        assert min(distances, key=distances.__getitem__) == golden["variant"]
    for golden in VECTORS["bytes"]:
        assert b"".join(map(part, golden["parts"])).hex() == golden["hex"]


def test_the_recipe_in_sql_is_the_one_that_verifies() -> None:
    """The page's query is run by its own test; that this hash is the SDK's, by the test of `verify`."""
    page = (Path(__file__).parents[2] / "docs" / "sql.md").read_text()
    assert "".join(verify._DRAW.split()) in "".join(page.split())


def test_parts_are_told_apart() -> None:
    assert draw("ab", "c") != draw("a", "bc")
    assert part("1:a") + part("b") != part("1") + part("a1:b")


def test_experiments_agree_by_chance_alone() -> None:
    arms = [Arms(f"experiment-{number}", {"a": 1, "b": 1}) for number in range(8)]
    given = [[one.choose(user) for user in USERS] for one in arms]
    for number, first in enumerate(given):
        for second in given[number + 1 :]:
            agreeing = sum(a == b for a, b in zip(first, second, strict=True)) / len(USERS)
            assert 0.485 < agreeing < 0.515


def test_a_further_arm_moves_nobody_between_the_others() -> None:
    before, after = Arms("e", {"a": 45, "b": 45}), Arms("e", {"a": 45, "b": 45, "c": 10})
    moves = [(before.choose(user), after.choose(user)) for user in users(100_000)]
    assert not [move for move in moves if move[0] != move[1] != "c"]
    assert 0.096 < sum(new == "c" for _, new in moves) / len(moves) < 0.104


def test_other_weights_move_units_one_way() -> None:
    before, after = Arms("e", {"a": 50, "b": 50}), Arms("e", {"a": 30, "b": 70})
    moves = [(before.choose(user), after.choose(user)) for user in users(100_000)]
    assert not [move for move in moves if move == ("b", "a")]
    assert 0.195 < sum(old != new for old, new in moves) / len(moves) < 0.205


def test_shares_are_the_weights() -> None:
    arms = Arms("e", {"a": 1, "b": 2, "c": 0, "d": 7})
    given = [arms.choose(user) for user in USERS]
    assert arms.probabilities == {"a": 0.1, "b": 0.2, "d": 0.7}
    for arm, share in arms.probabilities.items():
        assert abs(given.count(arm) / len(given) - share) < 0.012
    assert "c" not in given


def test_a_ramp_says_nothing_about_the_arm() -> None:
    arms = Arms("e", {"a": 1, "b": 1})
    within = [arms.choose(user) for user in USERS if draw(TRAFFIC, "e", user) < 0.2]
    assert abs(within.count("a") / len(within) - 0.5) < 0.03


def users(count: int) -> list[str]:
    """Many users."""
    return [f"user-{number}" for number in range(count)]
