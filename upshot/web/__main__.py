"""`python -m upshot.web`: serve the status page until SIGINT or SIGTERM."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from upshot.errors import UpshotError
from upshot.plain_text import plain
from upshot.settings import Settings, load_settings
from upshot.sources import Source
from upshot.sources.loading import load_app
from upshot.web.actions import log_actions
from upshot.web.connections import allow_many_files
from upshot.web.server import serve


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m upshot.web", description="Serve the status page.")
    parser.add_argument(
        "--host", default="127.0.0.1", help="address to listen at (default: this machine only)"
    )
    parser.add_argument("--port", type=int, default=8321, help="port to listen at (default: 8321)")
    parser.add_argument("--data-dir", type=Path, help="folder of a local stack, to find Kafka and ClickHouse")
    parser.add_argument("--app", metavar="MODULE:NAME", help="an app whose sources say what webhooks mean")
    return parser.parse_args()


async def _until_signalled(settings: Settings, host: str, port: int, sources: Sequence[Source]) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await serve(settings, host, port, stop, sources)


def main() -> int:
    """The exit code: 0 after a signal, 69 where the port is taken or the settings are wrong."""
    arguments = _arguments()
    try:
        settings = load_settings(data_dir=arguments.data_dir)
        sources = load_app(arguments.app).sources if arguments.app else ()
        allow_many_files()
        log_actions()
        asyncio.run(_until_signalled(settings, arguments.host, arguments.port, sources))
    except UpshotError as error:
        sys.stderr.write(f"upshot web: {plain(str(error), keep=chr(10))}\n")
        return 69
    return 0


if __name__ == "__main__":
    sys.exit(main())
