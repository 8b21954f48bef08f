"""Running a batch app as a process: waits for the broker, stops cleanly, says in a line why the process
ended.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
from collections.abc import Callable
from contextlib import suppress
from typing import NoReturn

from upshot.backoff import Backoff
from upshot.errors import ConfigurationError, KafkaUnavailable, UpshotError
from upshot.streams.kafka.incarnations import read
from upshot.streams.runtime.app import BatchApp
from upshot.streams.runtime.topics import check_topics
from upshot.streams.runtime.watchdog import watched

log = logging.getLogger(__name__)

EX_OK = 0
EX_TEMPFAIL = os.EX_TEMPFAIL
#: Between two tries to reach the broker, doubled each time up to the second.
BACKOFF = (0.25, 5.0)
#: The services get so long to stop after what was in flight is settled.
SERVICES_STOP_WITHIN = 10.0
#: The collector of reference cycles looks at the youngest objects after so many more of them, at the older
#: ones after so many looks, and at the oldest after so many of those.
COLLECT_AFTER = (100_000, 50, 100)


async def run(app: BatchApp, stop: asyncio.Event) -> int:
    """Run until `stop` is set (0) or the app fails (75: start the process again, nothing is lost).

    Raises ConfigurationError where a restart would not help.
    """
    try:
        if not await _broker_answers(app, stop):
            return EX_OK
        await _work(app, stop)
    except ConfigurationError:
        raise
    except Exception as error:
        log.error(
            "%s stops: %s. Nothing is lost: what isn't committed is done again", app.conf.id, _stated(error)
        )
        log.debug("it failed with", exc_info=error)
        return EX_TEMPFAIL
    return EX_OK


def main(make_app: Callable[[], BatchApp], at_end: Callable[[], None] = lambda: None) -> NoReturn:
    """Run as a process until SIGINT or SIGTERM, and exit with the code of `run`.

    `make_app` is called within the event loop, `at_end` after it. Raises ConfigurationError as `run` does.
    """
    collect_seldom()
    code = asyncio.new_event_loop().run_until_complete(_run_until_signalled(make_app))
    at_end()
    logging.shutdown()
    # A handler's thread that still waits for somebody (an insert under way) would hold up a normal exit.
    os._exit(code)


def collect_seldom() -> None:
    """Make Python look for cycles of garbage seldom, and never among the objects existing now: modules and
    models.

    A batch makes and drops tens of thousands of objects without a cycle. By its defaults the collector would
    walk over them, and over all modules, again and again.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECT_AFTER)


async def _run_until_signalled(make_app: Callable[[], BatchApp]) -> int:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    app = make_app()
    async with watched(app.pace.stuck_after):
        return await run(app, stop)


async def _broker_answers(app: BatchApp, stop: asyncio.Event) -> bool:
    """Wait for the broker; False when stopped before an answer."""
    backoff = Backoff(*BACKOFF)
    changelog = app.table.changelog_topic_name if app.table is not None else None
    while not stop.is_set():
        try:
            app.assignor.units = await check_topics(app.settings, sorted(app.inputs), changelog)
            app.incarnations = await read(app.settings) or app.incarnations
        except KafkaUnavailable as error:
            app.engine_metrics.kafka_answers(False)
            log.warning("%s waits: %s", app.conf.id, error)
        else:
            app.engine_metrics.kafka_answers(True)
            return True
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), backoff.pause())
    return False


async def _work(app: BatchApp, stop: asyncio.Event) -> None:
    """Raises the app's failure."""
    started = asyncio.create_task(app.start())
    stopped = asyncio.create_task(stop.wait())
    ended = asyncio.create_task(app.wait_until_stopped())
    try:
        await asyncio.wait({started, stopped, ended}, return_when=asyncio.FIRST_COMPLETED)
        if started.done() and not started.exception():
            await asyncio.wait({stopped, ended}, return_when=asyncio.FIRST_COMPLETED)
        await _stop(app)
    finally:
        for task in (started, stopped, ended):
            task.cancel()
        outcomes = await asyncio.gather(started, stopped, ended, return_exceptions=True)
    for reason in (app.crash_reason, outcomes[0]):
        if isinstance(reason, Exception):
            raise reason


async def _stop(app: BatchApp) -> None:
    try:
        async with asyncio.timeout(3 * app.pace.stop_within + SERVICES_STOP_WITHIN):
            await app.stop()
    except TimeoutError:
        log.warning("%s does not stop in time: left to the operating system", app.conf.id)


def _stated(error: Exception) -> str:
    if isinstance(error, UpshotError):
        return str(error)
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


__all__ = ["EX_OK", "EX_TEMPFAIL", "collect_seldom", "main", "run"]
