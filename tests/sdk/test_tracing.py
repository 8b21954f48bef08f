"""Whose tracer provider is used: each case in a process of its own, since a process has one for ever."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

BEGIN = """
import sys
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from upshot import App
from upshot.settings import Settings
from upshot.testing import capture

def record(app):
    with capture(app) as sent:
        with app.run("helper") as run, run.step("draft"):
            with trace.get_tracer("library").start_as_current_span("call"):
                pass
        return [step["name"] for step in sent.steps], [told["status"] for told in sent.runs], run.id

app = App("support")
"""

#: As Logfire does it: a provider that holds one of the SDK's, can be given another, and is no subclass of
#: its.
WRAPPING = """
from dataclasses import dataclass

@dataclass
class Wrapping(trace.TracerProvider):
    provider: TracerProvider

    def get_tracer(self, *args, **kwargs):
        return self.provider.get_tracer(*args, **kwargs)

    def add_span_processor(self, processor):
        self.provider.add_span_processor(processor)

class Hiding(Wrapping):
    __slots__ = ()
    __dict__ = {}

def record_by(app, provider):
    with capture(app) as sent, app.run("helper") as run, run.step("draft"):
        with provider.get_tracer("library").start_as_current_span("call"):
            pass
    return [step["name"] for step in sent.steps]
"""

CASES = {
    "one that wraps the SDK's, set up before": (
        WRAPPING
        + """
wrapping = Wrapping(TracerProvider())
trace.set_tracer_provider(wrapping)
assert record(app)[0] == ["call", "draft"]
assert app.instrument() is wrapping
assert record(app)[0] == ["call", "draft"]
assert record_by(app, wrapping) == ["call", "draft"]
""",
        {},
    ),
    "one that wraps the SDK's, set up after": (
        WRAPPING
        + """
app.instrument()
wrapping = Wrapping(TracerProvider())
trace.set_tracer_provider(wrapping)
assert record_by(app, wrapping) == ["call", "draft"]
assert record(app)[0] == ["call", "draft"]
""",
        {},
    ),
    "one that wraps the SDK's and is given another": (
        WRAPPING
        + """
wrapping = Wrapping(TracerProvider())
trace.set_tracer_provider(wrapping)
app.instrument()
wrapping.provider = TracerProvider()
assert record_by(app, wrapping) == ["call", "draft"]
wrapping.provider = TracerProvider()
assert record(app)[0] == ["call", "draft"]
""",
        {},
    ),
    "one that wraps another, without instrument": (
        WRAPPING
        + """
wrapping = Wrapping(TracerProvider())
trace.set_tracer_provider(wrapping)
assert record(app)[0] == ["call", "draft"]
wrapping.provider = TracerProvider()
assert record(app)[0] == ["call", "draft"]
""",
        {},
    ),
    "one that hides what it wraps": (
        WRAPPING
        + """
hiding = Hiding(TracerProvider())
trace.set_tracer_provider(hiding)
assert app.instrument() is hiding
assert record_by(app, hiding) == ["call", "draft"]
""",
        {},
    ),
    "none: ours, the process stays without": (
        """
names, statuses, _ = record(app)
assert names == ["draft"], names
assert isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider)
""",
        {},
    ),
    "one that is there before is extended": (
        """
trace.set_tracer_provider(TracerProvider())
names, statuses, _ = record(app)
assert names == ["call", "draft"], names
""",
        {},
    ),
    "one that is set later is extended from then on": (
        """
assert record(app)[0] == ["draft"]
trace.set_tracer_provider(TracerProvider())
assert record(app)[0] == ["call", "draft"]
""",
        {},
    ),
    "instrument sets one up": (
        """
provider = app.instrument()
assert provider is trace.get_tracer_provider()
assert app.instrument() is provider
assert record(app)[0] == ["call", "draft"]
""",
        {},
    ),
    "extended twice tells once": (
        """
provider = TracerProvider()
trace.set_tracer_provider(provider)
app.instrument(provider)
App("other").instrument()
assert record(app)[0] == ["call", "draft"]
""",
        {},
    ),
    "one that is not the SDK's": (
        """
from upshot.errors import Misuse
trace.set_tracer_provider(trace.NoOpTracerProvider())
assert record(app)[0] == ["draft"]
try:
    app.instrument()
except Misuse as error:
    assert "takes no span processors" in str(error)
else:
    raise AssertionError
assert app.instrument(TracerProvider())
""",
        {},
    ),
    "switched off: runs are told, with an id of their own": (
        """
trace.set_tracer_provider(TracerProvider())
names, statuses, run_id = record(app)
assert (names, statuses) == ([], ["completed"]), (names, statuses)
assert run_id.strip("0-"), run_id
""",
        {"OTEL_SDK_DISABLED": "true"},
    ),
    "sampled away: runs are told, steps are not": (
        """
trace.set_tracer_provider(TracerProvider())
names, statuses, _ = record(app)
assert (names, statuses) == ([], ["completed"]), (names, statuses)
""",
        {"OTEL_TRACES_SAMPLER": "always_off"},
    ),
    "ours samples nothing away": (
        """
assert record(app)[0] == ["draft"]
""",
        {"OTEL_TRACES_SAMPLER": "always_off"},
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_provider(case: str, tmp_path: Path) -> None:
    code, environment = CASES[case]
    ran = subprocess.run(
        [sys.executable, "-c", BEGIN + code],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=tmp_path,
        env={**os.environ, **environment},
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert list(tmp_path.iterdir()) == [], "an app that is caught writes nothing"
