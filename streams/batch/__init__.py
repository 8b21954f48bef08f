"""A batch per partition as the unit of work inside Faust.

Comes in: lists of records per partition. Goes out: changes to a table with a changelog, and records for
other topics. README.md says which of Faust's methods are overridden here, and why.
"""

from upshot.streams.batch.app import BatchApp, batch_app
from upshot.streams.batch.effects import Change, Effects, Output
from upshot.streams.batch.handler import TP, BatchContext, BatchHandler, TableView, Unsettled
from upshot.streams.batch.pace import Pace

__all__ = [
    "TP",
    "BatchApp",
    "BatchContext",
    "BatchHandler",
    "Change",
    "Effects",
    "Output",
    "Pace",
    "TableView",
    "Unsettled",
    "batch_app",
]
