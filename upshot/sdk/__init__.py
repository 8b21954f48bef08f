"""The SDK for an agent's program. All names are at hand as `upshot.App`, `upshot.current_run` and so on."""

from upshot.followups.context import Followup
from upshot.followups.events import Event, Expected, expect
from upshot.followups.scorers import Scorer
from upshot.sdk.app import App
from upshot.sdk.attached import AttachedRun
from upshot.sdk.context import attach, current_run, current_step, in_thread
from upshot.sdk.experiments import Experiment, Variant
from upshot.sdk.runs import Run
from upshot.sdk.sender import Delivered
from upshot.sdk.steps import Step

__all__ = [
    "App",
    "AttachedRun",
    "Delivered",
    "Event",
    "Expected",
    "Experiment",
    "Followup",
    "Run",
    "Scorer",
    "Step",
    "Variant",
    "attach",
    "current_run",
    "current_step",
    "expect",
    "in_thread",
]
