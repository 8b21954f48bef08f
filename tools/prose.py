"""`python -m tools.prose` counts, in docs and docstrings, the words that hide the subject of a sentence.

Prints the share of such words for each package and page, worst first; exits with 1 where the whole is above
the limit. `--room NAME` lists the sentences of a package or page with most of these words. `--check` prints
the whole alone, and above the limit the worst packages and pages.
"""

from __future__ import annotations

import argparse
import ast
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

ROOT = Path(__file__).parents[1]
CODE = ("schemas", "streams", "processors", "insights", "upshot", "tools")
#: Words standing for a subject not named by the sentence.
HIDING = frozenset({"what", "it", "that", "those", "whoever", "one"})
#: Of a hundred words, so many may hide a subject.
LIMIT = 5.0
#: So many of the worst packages and pages are printed by `--check`.
WORST = 5
_WORD = re.compile(r"[A-Za-z]+(?:['\u2019][A-Za-z]+)?")
_FENCE = re.compile(r"```.*?```|`[^`]*`|<!--.*?-->|\]\([^)]*\)", re.DOTALL)


def hiding(text: str) -> tuple[int, int]:
    """How many words of `text` hide a subject, and how many words there are; code is no text."""
    words = [word.lower().removesuffix("'s") for word in _WORD.findall(_FENCE.sub(" ", text))]
    return sum(word in HIDING for word in words), len(words)


def pages() -> Iterator[tuple[str, str]]:
    """Each page written by hand, with its text."""
    for path in sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *ROOT.glob("streams/**/*.md")]):
        name = str(path.relative_to(ROOT))
        text = path.read_text()
        if not text.startswith("<!-- Written by") and name != "CHANGELOG.md":
            yield name, text


def docstrings() -> Iterator[tuple[str, str]]:
    """The docstrings of each package, in order."""
    for folder in CODE:
        for path in sorted((ROOT / folder).rglob("*.py")):
            inside = path.relative_to(ROOT)
            if inside.parts[0] == "upshot" and (ROOT / "upshot" / inside.parts[1]).is_symlink():
                continue
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                    yield str(inside.parent), ast.get_docstring(node) or ""


def report(counts: Mapping[str, tuple[int, int]], *, check: bool) -> tuple[str, bool]:
    """The text to print, and whether the whole is above the limit; for `check`, the short text."""
    found, words = (sum(count[n] for count in counts.values()) for n in (0, 1))
    above = 100 * found > LIMIT * words
    worst = sorted(counts.items(), key=lambda entry: -_share(*entry[1]))
    if check:
        worst = worst[:WORST] if above else []
    lines = [f"{_share(*count):5.1f} % of {count[1]:6} words  {place}" for place, count in worst]
    whole = f"{_share(found, words):5.1f} % of {words:6} words in all; the limit is {LIMIT:g} %"
    return "\n".join([*lines, whole]), above


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m tools.prose", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--room", help="list the sentences of this room or page")
    parser.add_argument("--check", action="store_true", help="print the whole alone, or the worst places")
    options = parser.parse_args()
    counts: dict[str, tuple[int, int]] = {}
    for place, text in [*pages(), *docstrings()]:
        found, words = hiding(text)
        before = counts.get(place, (0, 0))
        counts[place] = before[0] + found, before[1] + words
        if place == options.room:
            _list(text)
    if options.room:
        return 0
    text, above = report(counts, check=options.check)
    print(text)
    return int(above)


def _share(found: int, words: int) -> float:
    return 100 * found / words if words else 0.0


def _list(text: str) -> None:
    for sentence in re.split(r"(?<=[.:;!?])\s+", text):
        found, words = hiding(sentence)
        if words and (found > 1 or 100 * found > LIMIT * words):
            print(f"{found}/{words}  {' '.join(sentence.split())}")


if __name__ == "__main__":
    sys.exit(main())
