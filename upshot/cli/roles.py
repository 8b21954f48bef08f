"""Running a worker's role in this process, and several roles as supervised children."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from time import monotonic
from typing import NoReturn

from upshot.errors import Unavailable
from upshot.local.roles import metrics_port, role_command, role_environment
from upshot.ops.telemetry.export import export_metrics
from upshot.processors.roles import ROLES
from upshot.processors.sources.handler import check_topics
from upshot.processors.store.migrate import migrate
from upshot.settings import Settings
from upshot.streams.kafka.admin import ensure_topics
from upshot.streams.runtime import RoleApp
from upshot.streams.runtime.runner import main

log = logging.getLogger(__name__)

#: Set for a supervised child: the end of its stdin, however the supervisor died, is its end too.
SUPERVISED = "UPSHOT_SUPERVISED"

#: Seconds between two tries, doubled each time up to the second.
_BACKOFF = (0.5, 10.0)
#: A child that ran for so long starts again with the shortest pause.
_HEALTHY = 60.0
_STOP_WITHIN = 30.0


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
    sys.stdin.buffer.read()
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
        pause, longest = _BACKOFF
        while not stop.is_set():
            try:
                await need()
                break
            except Unavailable as error:
                log.warning("%s waits: %s", role, error)
            await _wait(stop, pause)
            pause = min(2 * pause, longest)
    return not stop.is_set()


async def supervise(settings: Settings, roles: Sequence[str], app: str | None = None) -> int:
    """Run each role as a child, restarted on failure, until SIGINT or SIGTERM (0). Roles may repeat.

    A child with a wrong configuration (2) ends all: a restart would not help.
    """
    stop = _stop_on_signals()
    numbered = [(role, roles[:place].count(role)) for place, role in enumerate(roles)]
    codes = await asyncio.gather(*(_keep_running(settings, role, n, app, stop) for role, n in numbered))
    return max(codes)


async def _keep_running(
    settings: Settings, role: str, number: int, app: str | None, stop: asyncio.Event
) -> int:
    pause, longest = _BACKOFF
    environment = role_environment(settings, metrics_port(settings, role, number), number)
    while not stop.is_set():
        began = monotonic()
        code = await _run_child(role, app, environment, stop)
        if stop.is_set():
            break
        if code == 2:
            stop.set()
            return code
        pause = _BACKOFF[0] if monotonic() - began > _HEALTHY else pause
        log.warning("%s ended with exit code %d: started again in %g s, nothing is lost", role, code, pause)
        await _wait(stop, pause)
        pause = min(2 * pause, longest)
    return 0


async def _run_child(role: str, app: str | None, environment: Mapping[str, str], stop: asyncio.Event) -> int:
    child = await asyncio.create_subprocess_exec(
        *role_command(role, app if ROLES[role].needs_app else None),
        stdin=asyncio.subprocess.PIPE,
        env={**os.environ, **environment, SUPERVISED: "1"},
        process_group=0,
    )
    ended = asyncio.ensure_future(child.wait())
    stopped = asyncio.ensure_future(stop.wait())
    await asyncio.wait({ended, stopped}, return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    if not ended.done():
        with suppress(ProcessLookupError):
            child.terminate()
        await asyncio.wait({ended}, timeout=_STOP_WITHIN)
    if not ended.done():
        log.warning("%s does not end: killed; uncommitted work is done again", role)
        child.kill()
    return await ended


def _stop_on_signals() -> asyncio.Event:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return stop


async def _wait(stop: asyncio.Event, seconds: float) -> None:
    with suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), seconds)


__all__ = ["SUPERVISED", "run_role", "supervise"]
