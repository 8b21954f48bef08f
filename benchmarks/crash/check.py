"""Compares what ClickHouse shows with what must be there."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import clickhouse_connect
from load import Case

from upshot.settings import Settings


@dataclass
class Findings:
    """What differs, as run ids (score and dead letter ids in `repeated`)."""

    lost: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    double: list[str] = field(default_factory=list)
    invented: list[str] = field(default_factory=list)
    repeated: list[str] = field(default_factory=list)
    unsettled: list[str] = field(default_factory=list)

    @property
    def is_clean(self) -> bool:
        """Whether nothing differs."""
        return not any(vars(self).values())

    def __str__(self) -> str:
        shown = [
            f"{len(ids)} {name}" + (f" ({', '.join(ids[:3])} …)" if ids else "")
            for name, ids in vars(self).items()
        ]
        return ", ".join(shown)


class Checker:
    """Reads ClickHouse for one seed's runs."""

    def __init__(self, settings: Settings, seed: int) -> None:
        self._client = clickhouse_connect.get_client(dsn=settings.clickhouse_url.get_secret_value())
        self._prefix = f"run-{seed}-"

    def compare(self, cases: Iterable[Case]) -> Findings:
        """What differs now from what the cases must come to."""
        found = Findings()
        scores: dict[str, list[float]] = {}
        for run_id, value in self._rows(
            "SELECT run_id, value FROM current_scores WHERE startsWith(run_id, {p:String})"
        ):
            scores.setdefault(run_id, []).append(value)
        runs = {row[0] for row in self._rows("SELECT run_id FROM runs WHERE startsWith(run_id, {p:String})")}
        open_waits = {
            row[0] for row in self._rows("SELECT run_id FROM pending WHERE startsWith(run_id, {p:String})")
        }
        letters = {
            row[0]
            for row in self._rows(
                "SELECT payload FROM dead_letters WHERE startsWith(payload, concat('{', {p:String}))"
            )
        }
        for case in cases:
            self._compare_one(case, scores.pop(case.run_id, []), runs, open_waits, letters, found)
        found.invented = list(scores)
        found.repeated = self._repeated()
        return found

    def _compare_one(
        self,
        case: Case,
        values: list[float],
        runs: set[str],
        open_waits: set[str],
        letters: set[str],
        found: Findings,
    ) -> None:
        garbage = case.shape == "garbage" and "{" + case.run_id not in letters
        if case.run_id not in runs or garbage or (case.expected is not None and not values):
            found.lost.append(case.run_id)
        if len(values) > 1:
            found.double.append(case.run_id)
        if values and values != [case.expected] * len(values):
            found.wrong.append(case.run_id)
        waits_on = case.shape in ("open", "last", "count")
        if (case.run_id in open_waits) is not waits_on:
            found.unsettled.append(case.run_id)

    def _repeated(self) -> list[str]:
        """Revisions and dead letters that the history shows more than once."""
        revisions = "SELECT toString(score_id) FROM scores WHERE startsWith(run_id, {p:String}) AND reason != 'given' GROUP BY score_id, revision HAVING count() > 1"
        letters = "SELECT dead_letter_id FROM dead_letters GROUP BY dead_letter_id HAVING count() > 1"
        return [row[0] for sql in (revisions, letters) for row in self._rows(sql)]

    def _rows(self, sql: str) -> list[Any]:
        return list(self._client.query(sql, parameters={"p": self._prefix}).result_rows)
