"""`python -m tools.reference [--check] FOLDER` writes the pages,
or exits with 1 where they are out of date.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tools.reference.pages import all_pages, stale, write


def main() -> int:
    """Write or compare; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tools.reference", description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare only")
    parser.add_argument("folder", type=Path, help="where the pages lie, docs/reference")
    options = parser.parse_args()
    pages = all_pages()
    if not options.check:
        write(pages, options.folder)
        return 0
    wrong = [str(options.folder / name) for name in stale(pages, options.folder)]
    if wrong:
        sys.stderr.write(f"out of date: {', '.join(wrong)}; write them with  make docs\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
