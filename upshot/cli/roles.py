"""Running a worker's role in this process, and several roles as supervised children."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from typing import NoReturn

from upshot.backoff import Backoff
from upshot.errors import Unavailable
from upshot.local.component import Component
from upshot.local.roles import SUPERVISED, RoleProcess
from upshot.local.supervisor import Supervisor, stopping_on_signals
from upshot.ops.telemetry.export import export_metrics
from upshot.processors.roles import ROLES
from upshot.processors.sources.handler import check_topics
from upshot.processors.store.migrate import migrate
from upshot.settings import Settings
from upshot.streams.kafka.admin import ensure_topics
from upshot.streams.runtime import RoleApp
from upshot.streams.runtime.runner import main

log = logging.getLogger(__name__)

#: Seconds between two tries: the first pause, and the longest.
_BACKOFF = (0.5, 10.0)


def run_role(settings: Settings, role: str, app: str | None = None) -> NoReturn:
    """Run a role until SIGINT or SIGTERM; exits with the runner's code.

    `app` is the user's app, as `module:name`. Raises ConfigurationError where the role needs an app and has
    none.
    """
    if SUPERVISED in os.environ:
        threading.Thread(target=_end_with_stdin, daemon=True).start()
    telemetry = export_metrics(settings, role)
    chosen: RoleApp = ROLES[role].load()(settings, app)
    if not asyncio.run(_prepared(settings, role, chosen.inputs)):
        sys.exit(0)

    def close() -> None:
        chosen.close()
        telemetry.close()

    main(lambda: chosen.make(settings, None, telemetry.meter), close)


def _end_with_stdin() -> None:
    # Not through sys.stdin: its lock, held here, would abort an interpreter that ends by itself.
    while os.read(0, 4096):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


async def _prepared(settings: Settings, role: str, inputs: Sequence[str]) -> bool:
    """Wait until topics and tables exist; False when stopped before."""
    stop = _stop_on_signals()

    async def topics() -> None:
        if created := await ensure_topics(settings):
            log.info("created topics %s", ", ".join(created))

    async def tables() -> None:
        for migration in await asyncio.to_thread(migrate, settings):
            log.info("applied migration %04d %s", migration.number, migration.name)

    async def others() -> None:
        await check_topics(settings, inputs)

    needs = [topics, *([tables] if ROLES[role].writes_rows else []), *([others] if inputs else [])]
    for need in needs:
        backoff = Backoff(*_BACKOFF)
        while not stop.is_set():
            try:
                await need()
                break
            except Unavailable as error:
                log.warning("%s waits: %s", role, error)
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), backoff.pause())
    return not stop.is_set()


def supervise(settings: Settings, roles: Sequence[str], app: str | None = None) -> int:
    """Run each role as a child, restarted on failure, until SIGINT or SIGTERM (0). Roles may repeat.

    A child with a wrong configuration (2) ends all: a restart would not help.
    """
    children = [
        RoleProcess(settings, role, roles[:place].count(role), app) for place, role in enumerate(roles)
    ]
    stop = threading.Event()
    supervisor = Supervisor(report=lambda line: log.warning("%s", line), check_end=_refuse_misconfigured)
    with stopping_on_signals(stop):
        try:
            for child in children:
                supervisor.start(child)
            supervisor.supervise(stop)
        except _MisconfiguredRole:
            return 2
        finally:
            for child in children:
                child.end()  # all at once: `stop` waits for one after another
            supervisor.stop()
    return 0


class _MisconfiguredRole(Exception):
    """A role has ended for its configuration, and has said why."""


def _refuse_misconfigured(child: Component) -> None:
    if isinstance(child, RoleProcess) and child.exit_code == 2:
        raise _MisconfiguredRole


def _stop_on_signals() -> asyncio.Event:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return stop


__all__ = ["run_role", "supervise"]
