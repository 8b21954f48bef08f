"""The command `upshot`."""

from __future__ import annotations

import os
import sys

from upshot.cli.exits import Exit


def main() -> None:
    """Run the command line and exit with a code of `upshot.cli.exits.Exit`."""
    try:
        _run()
    except KeyboardInterrupt:
        sys.exit(Exit.INTERRUPTED)


def _run() -> None:
    try:
        from upshot.cli.app import app
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("upshot"):
            raise
        sys.stderr.write(
            f"upshot: the package {error.name} is missing, this installation has the SDK alone. Nothing was "
            "done: install the command with  pip install 'upshot[local]'\n"
        )
        sys.exit(Exit.USAGE)
    try:
        app()
    finally:
        _flush()


def _flush() -> None:
    """Write buffered output here: at the interpreter's end, a closed pipe would print a trace."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


__all__ = ["main"]
