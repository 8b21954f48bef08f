"""Runs whose rows stand twice: there are none, and a look now and then makes sure of that."""

from __future__ import annotations

from collections.abc import Sequence

from clickhouse_connect.driver.client import Client

#: Into how many parts the runs are divided: a look reads one of them.
PARTS = 64
#: One part of the runs, and those of them that stand under more than one start; the same of scores.
DOUBLED = """
SELECT run_id FROM raw_scored_runs FINAL
WHERE sipHash64(run_id) % {parts:UInt32} = {part:UInt32} GROUP BY run_id HAVING count() > 1
UNION DISTINCT
SELECT DISTINCT run_id FROM raw_score_rows FINAL
WHERE sipHash64(run_id) % {parts:UInt32} = {part:UInt32} GROUP BY run_id, score_key, kind HAVING count() > 1
UNION DISTINCT
SELECT DISTINCT run_id FROM raw_exposure_rows FINAL
WHERE sipHash64(run_id) % {parts:UInt32} = {part:UInt32} GROUP BY run_id, exposure_key HAVING count() > 1"""


def doubled(client: Client, part: int) -> Sequence[str]:
    """The runs of one part whose rows stand twice: to be written again."""
    found = client.query(DOUBLED, parameters={"parts": PARTS, "part": part % PARTS}).result_rows
    return [run_id for (run_id,) in found]


__all__ = ["DOUBLED", "PARTS", "doubled"]
