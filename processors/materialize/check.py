"""Runs whose rows stand twice: there are none, and a look now and then makes sure of that."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

#: Into how many parts the runs are divided: a look reads one of them.
PARTS = 64
#: Runs with rows under several keys that a look follows.
_MOST = 10_000
_IDS = "(SELECT arrayJoin(JSONExtract({ids:String}, 'Array(String)')))"
_OF_PART = "sipHash64(run_id) % {parts:UInt32} = {part:UInt32}"
#: Runs of one part with rows under several keys, taken away or not: few, and found without merging.
_MOVED = f"""
SELECT run_id FROM raw_scored_runs
WHERE {_OF_PART} GROUP BY run_id HAVING min(started_at) != max(started_at)
UNION DISTINCT
SELECT DISTINCT run_id FROM raw_score_rows
WHERE {_OF_PART} GROUP BY run_id, score_key, kind
HAVING min(started_at) != max(started_at) OR min(name) != max(name)
UNION DISTINCT
SELECT DISTINCT run_id FROM raw_exposure_rows
WHERE {_OF_PART} GROUP BY run_id, exposure_key
HAVING min(started_at) != max(started_at) OR min(experiment) != max(experiment)"""
#: Those of some runs that stand under more than one start; the same of scores.
_DOUBLED = f"""
SELECT run_id FROM raw_scored_runs FINAL WHERE run_id IN {_IDS}
GROUP BY run_id HAVING count() > 1
UNION DISTINCT
SELECT DISTINCT run_id FROM raw_score_rows FINAL WHERE run_id IN {_IDS}
GROUP BY run_id, score_key, kind HAVING count() > 1
UNION DISTINCT
SELECT DISTINCT run_id FROM raw_exposure_rows FINAL WHERE run_id IN {_IDS}
GROUP BY run_id, exposure_key HAVING count() > 1"""


def doubled(rows: Callable[[str, Mapping[str, Any]], Sequence[Sequence[Any]]], part: int) -> Sequence[str]:
    """The runs of one part whose rows stand twice: to be written again. `rows` puts a query."""
    moved = rows(_MOVED, {"parts": PARTS, "part": part % PARTS})
    if not moved:
        return []
    ids = json.dumps([run_id for (run_id,) in moved[:_MOST]])
    return [run_id for (run_id,) in rows(_DOUBLED, {"ids": ids})]


__all__ = ["PARTS", "doubled"]
