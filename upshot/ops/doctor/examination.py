"""The whole examination, for the command and for the page."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime

from upshot.ops.doctor.clickhouse import examine_clickhouse
from upshot.ops.doctor.finding import Finding
from upshot.ops.doctor.kafka import examine_kafka
from upshot.ops.doctor.locks import examine_locks
from upshot.ops.doctor.pages import first_look, local_pages, pages_finding, second_look
from upshot.ops.doctor.place import examine_place
from upshot.ops.doctor.spool import examine_spool
from upshot.ops.doctor.workers import examine_workers
from upshot.settings import Settings, local_viewer


async def examine(settings: Settings, metrics: Sequence[str] = (), *, named: bool = False) -> list[Finding]:
    """Check every component; takes seconds, since workers' metrics are read twice.

    `metrics` are addresses of workers' metrics, by default those of the local stack. `named`: the data
    directory was named by a person.
    """
    pages = list(metrics) or local_pages(settings.data_dir)
    before = await asyncio.to_thread(first_look, pages)
    findings = await asyncio.to_thread(examine_place, settings.data_dir, named=named)
    if not any(finding.check == "data directory" and finding.state == "wrong" for finding in findings):
        findings += await asyncio.to_thread(examine_locks, settings.data_dir)
        findings += await examine_kafka(settings)
        findings += await asyncio.to_thread(examine_clickhouse, local_viewer(settings))
    findings += await asyncio.to_thread(examine_spool, settings.spool, datetime.now(UTC))
    if pages:
        looked = await asyncio.to_thread(second_look, pages, before)
        findings += [
            pages_finding(looked, named=bool(metrics)),
            *examine_workers(looked.workers, settings.stalled_after),
        ]
    return findings


__all__ = ["examine"]
