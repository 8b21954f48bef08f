"""The SDK: what an agent's program uses. All of it is at hand as `upshot.App`, `upshot.current_run` and so on."""

from upshot.sdk.app import App
from upshot.sdk.context import current_run, current_step, in_thread
from upshot.sdk.runs import Run
from upshot.sdk.sender import Delivered
from upshot.sdk.steps import Step

__all__ = ["App", "Delivered", "Run", "Step", "current_run", "current_step", "in_thread"]
