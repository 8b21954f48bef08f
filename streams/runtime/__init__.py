"""A batch per partition as the unit of work inside Faust.

Comes in: lists of records per partition. Goes out: changes to a table with a changelog, and records for
other topics. README.md says which of Faust's methods are overridden here, and why.
"""

from upshot.streams.events.effects import Change, Effects, Output
from upshot.streams.events.handler import TP, BatchContext, BatchHandler, TableView, Unsettled
from upshot.streams.runtime.app import BatchApp, batch_app
from upshot.streams.runtime.role_app import RoleApp
from upshot.streams.runtime.timing import Timing

__all__ = [
    "TP",
    "BatchApp",
    "BatchContext",
    "BatchHandler",
    "Change",
    "Effects",
    "Output",
    "RoleApp",
    "TableView",
    "Timing",
    "Unsettled",
    "batch_app",
]
