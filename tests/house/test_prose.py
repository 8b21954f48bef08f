"""The check of prose: the whole is under the limit, and above the limit the worst places are printed."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

from tools import prose

ROOT = Path(__file__).parents[2]


def test_the_check_prints_the_whole_alone_under_the_limit() -> None:
    text, above = prose.report({"a": (1, 50), "b": (0, 50)}, check=True)
    assert (text, above) == ("  1.0 % of    100 words in all; the limit is 5 %", False)


def test_the_check_prints_the_worst_places_above_the_limit() -> None:
    counts = {f"page-{hidden}": (hidden, 100) for hidden in range(4, 12)}
    text, above = prose.report(counts, check=True)
    assert above
    places = [line.split()[-1] for line in text.splitlines()[:-1]]
    assert places == ["page-11", "page-10", "page-9", "page-8", "page-7"]
    assert text.splitlines()[-1] == "  7.5 % of    800 words in all; the limit is 5 %"


def test_without_the_check_all_places_are_printed() -> None:
    text, above = prose.report({"a": (1, 50), "b": (0, 50)}, check=False)
    assert [line.split()[-1] for line in text.splitlines()[:-1]] == ["a", "b"]
    assert not above


def test_the_limit_is_checked_with_the_other_checks() -> None:
    target = (ROOT / "Makefile").read_text().partition("\ncheck:")[2].partition("\n\n")[0]
    assert "-m tools.prose --check" in target
    assert prose.LIMIT == 5


def test_docs_and_docstrings_are_under_the_limit() -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "tools.prose", "--check"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert len(ran.stdout.splitlines()) == 1


def test_every_use_of_a_hiding_word_counts_and_code_does_not() -> None:
    assert prose.hiding("It's what one writes; that page, those pages, whoever reads") == (6, 10)
    assert prose.hiding("`what` and ```\nit = that\n``` and [a page](that/one.md)") == (0, 4)


def test_sentences_in_code_are_docstrings_and_long_texts() -> None:
    tree = ast.parse(
        '"""It."""\n'
        "short = 'what is this'\n"
        "query = 'SELECT what it said FROM that table of those rows'\n"
        "raise ValueError(f'it was {short}, and what was that one for')\n"
    )
    assert list(prose.sentences(tree)) == ["It.", ", and what was that one for"]
