"""Running a scorer's code over what has happened: what it would say, beside what is said now."""

from upshot.rescoring.difference import Difference, Moved, Summary, difference
from upshot.rescoring.past import ClickHousePast, Current, Past
from upshot.rescoring.rescore import Rescored, rescore

__all__ = [
    "ClickHousePast",
    "Current",
    "Difference",
    "Moved",
    "Past",
    "Rescored",
    "Summary",
    "difference",
    "rescore",
]
