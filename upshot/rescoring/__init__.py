"""Running a scorer's code over stored outcomes: the scores of the code beside the current scores."""

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
