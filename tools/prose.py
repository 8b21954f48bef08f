"""`python -m tools.prose` counts the words that hide the subject of a sentence.

Counted are the pages of the docs, docstrings, and texts of at least six words in the product's code: help
texts, errors, descriptions of fields and metrics. Every use of such a word counts, also a harmless use ("one
of both", "that page"): no grammar is guessed at, so the share is an upper bound. Not counted are code in
pages and docstrings, SQL, the generated page of tables, whose words are comments in released migrations,
and the changelog.

Prints the share of such words for each package and page, worst first; exits with 1 where the whole is above
the limit. `--room NAME` lists the sentences of a package or page with most of these words. `--check` prints
the whole alone, and above the limit the worst packages and pages.
"""

from __future__ import annotations

import argparse
import ast
import inspect
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

ROOT = Path(__file__).parents[1]
CODE = ("schemas", "streams", "processors", "insights", "upshot", "tools", "benchmarks", "examples", "tests")
#: Folders whose texts beside docstrings are data of tests and measurements.
DATA = ("benchmarks", "examples", "tests")
#: Words standing for a subject not named by the sentence.
HIDING = frozenset({"what", "it", "that", "those", "whoever", "one"})
#: Of a hundred words, so many may hide a subject.
LIMIT = 5.0
#: Texts of fewer words in the code are names and labels, not sentences.
SENTENCE = 6
#: So many of the worst packages and pages are printed by `--check`.
WORST = 5
_OMITTED = ("CHANGELOG.md", "docs/reference/tables.md")
_SQL = re.compile(r"\b(SELECT|INSERT|ALTER|CREATE|GRANT|WHERE|FROM)\b|</?[a-z_]+>")
_WORD = re.compile(r"[A-Za-z]+(?:['\u2019][A-Za-z]+)?")
_FENCE = re.compile(r"```.*?```|`[^`]*`|<!--.*?-->|\]\([^)]*\)", re.DOTALL)


def hiding(text: str) -> tuple[int, int]:
    """How many words of `text` hide a subject, and how many words there are; code is no text."""
    words = [re.split("['\u2019]", word.lower())[0] for word in _WORD.findall(_FENCE.sub(" ", text))]
    return sum(word in HIDING for word in words), len(words)


def pages() -> Iterator[tuple[str, str]]:
    """Each page, with its text; see the module for the omitted pages."""
    for path in sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *ROOT.glob("streams/**/*.md")]):
        name = str(path.relative_to(ROOT))
        text = path.read_text()
        if name not in _OMITTED:
            yield name, text


def texts() -> Iterator[tuple[str, str]]:
    """The docstrings and the sentences in the code of each package, in order."""
    for folder in CODE:
        for path in sorted((ROOT / folder).rglob("*.py")):
            inside = path.relative_to(ROOT)
            if inside.parts[0] == "upshot" and (ROOT / "upshot" / inside.parts[1]).is_symlink():
                continue
            tree = ast.parse(path.read_text())
            for text in docstrings(tree) if folder in DATA else sentences(tree):
                yield str(inside.parent), text


def docstrings(tree: ast.Module) -> Iterator[str]:
    """The docstrings of a module, its classes and functions."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield ast.get_docstring(node) or ""


def sentences(tree: ast.Module) -> Iterator[str]:
    """All texts of at least six words, docstrings of any length among them, unless SQL or XML."""
    documented = list(docstrings(tree))
    yield from documented
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(text := node.value, str):
            long = len(text.split()) >= SENTENCE and not _SQL.search(text)
            if long and inspect.cleandoc(text) not in documented:
                yield text


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
    parser.add_argument("--room", help="list the sentences of this package or page")
    parser.add_argument("--check", action="store_true", help="print the whole alone, or the worst places")
    options = parser.parse_args()
    counts: dict[str, tuple[int, int]] = {}
    for place, text in [*pages(), *texts()]:
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
