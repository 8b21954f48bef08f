"""The present activity of each role, by the metrics of a local stack's workers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from upshot.ops.doctor.pages import Worker, first_look, local_pages
from upshot.ops.doctor.words import per_second, size, span
from upshot.ops.telemetry.scrape import Page


class WorkerFigures:
    """Reads the workers' pages; rates show from the second reading on."""

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir
        self._before: dict[str, Page] = {}

    def by_role(self) -> Mapping[str, Sequence[str]]:
        """The figures of each role with readable metrics. Blocks."""
        pages = [page for page in first_look(local_pages(self._data_dir)) if isinstance(page, Page)]
        workers = [Worker(self._before.get(page.url, page), page) for page in pages]
        self._before = {page.url: page for page in pages}
        roles = dict.fromkeys(worker.role for worker in workers)
        return {role: of_role([worker for worker in workers if worker.role == role]) for role in roles}


def of_role(workers: Sequence[Worker]) -> list[str]:
    """The figures of one role, for people."""
    lines = [per_second(sum(worker.rate("upshot.consumer.records") for worker in workers), "records")]
    if left := sum(worker.now("upshot.recovery.remaining") for worker in workers):
        lines = [f"{left:,.0f} records to recover"]
    if any(worker.after.value("upshot.table.keys") is not None for worker in workers):
        lines.append(f"{sum(worker.now('upshot.table.keys') for worker in workers):,.0f} subjects")
    if any(worker.after.value("upshot.join.waits.open") is not None for worker in workers):
        lines.append(f"{sum(worker.now('upshot.join.waits.open') for worker in workers):,.0f} open waits")
    due = [d for worker in workers if (d := worker.after.value("upshot.join.deadline.next")) is not None]
    if due:
        lines.append(f"next look in {span(min(due))}" if min(due) >= 0 else f"overdue by {span(-min(due))}")
    if any(worker.after.value("upshot.store.rows") is not None for worker in workers):
        lines.append(per_second(sum(worker.rate("upshot.store.rows") for worker in workers), "rows"))
    if any(worker.after.value("upshot.materialize.lag") is not None for worker in workers):
        lag = max(worker.now("upshot.materialize.lag") for worker in workers)
        lines.append(f"rows for reading {span(lag)} behind")
    lines.append(size(sum(worker.now("process.memory.usage") for worker in workers)))
    return lines


__all__ = ["WorkerFigures", "of_role"]
