"""The status as HTML. Everything that comes from events is escaped."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from shlex import quote
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from upshot.settings import Settings
from upshot.web.status import Status

_DEFAULT_DATA_DIR = Settings.model_fields["data_dir"].default

_environment = Environment(
    loader=PackageLoader("upshot.web"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def page(status: Status, settings: Settings) -> str:
    """The whole page."""
    return _environment.get_template("status.html").render(
        status=status,
        prefix=settings.topic_prefix,
        here=_here(settings.data_dir),
        ago=lambda micros: _ago(status.at, micros),
        share=_share,
        value=_value,
    )


def _here(data_dir: Path) -> str:
    """The option that makes a command find this stack."""
    return "" if data_dir == _DEFAULT_DATA_DIR else f" --data-dir {quote(str(data_dir))}"


def _ago(now: datetime, micros: int) -> str:
    """How long ago, in one unit."""
    seconds = max(0.0, now.timestamp() - micros / 1_000_000)
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit} ago"
    return f"{seconds:.0f} s ago"


def _value(row: dict[str, Any]) -> str:
    """A score's value as people say it."""
    if row["kind"] == "boolean":
        return "true" if row["value"] else "false"
    return f"{row['value']:g}"


def _share(row: dict[str, Any]) -> str:
    """The mean of a group's scores: for booleans the share of true in percent."""
    if row["mean"] is None:
        return ""
    return f"{100 * row['mean']:.1f}%" if row["kind"] == "boolean" else f"{row['mean']:.4g}"


__all__ = ["page"]
