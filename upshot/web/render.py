"""The status as HTML. Everything from events is escaped, cut, and can't turn the text around it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from shlex import quote
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from upshot.ops.doctor.words import span
from upshot.plain_text import plain
from upshot.settings import Settings
from upshot.web.status import Status

#: Characters of a text that the page shows.
_LONGEST = 1_000
_DEFAULT_DATA_DIR = Settings.model_fields["data_dir"].default

_environment = Environment(
    loader=PackageLoader("upshot.web"),
    autoescape=True,
    undefined=StrictUndefined,
    finalize=lambda value: _shown(value),
    trim_blocks=True,
    lstrip_blocks=True,
)


def page(status: Status, settings: Settings) -> str:
    """The whole page."""
    return _environment.get_template("status.html").render(
        status=status,
        prefix=settings.topic_prefix,
        here=_here(settings.data_dir),
        ago=lambda instant: _ago(status.at, instant),
        share=_share,
        value=_value,
    )


def _shown(value: Any) -> Any:
    """A value of the template; existing markup stays."""
    if type(value) is not str:
        return value
    text = plain(value[:_LONGEST], keep="\n")
    return f"{text}…" if len(value) > _LONGEST else text


def _here(data_dir: Path) -> str:
    """The option leading a command to this stack."""
    return "" if data_dir == _DEFAULT_DATA_DIR else f" --data-dir {quote(str(data_dir))}"


def _ago(now: datetime, instant: str) -> str:
    """The time since `instant`, in one unit; `instant` is UTC as ClickHouse writes it."""
    seconds = max(0.0, (now - datetime.fromisoformat(instant).replace(tzinfo=UTC)).total_seconds())
    return f"{span(seconds)} ago"


def _value(row: Mapping[str, Any]) -> str:
    """A score's value in words for people."""
    if row["kind"] == "boolean":
        return "true" if row["value"] else "false"
    return f"{row['value']:g}"


def _share(row: Mapping[str, Any]) -> str:
    """The share of true in percent, the mean of numbers and their sum, both where a name has both,
    or nothing.
    """
    shares = []
    if row["rate_percent"] is not None:
        shares.append(f"{row['rate_percent']:.1f}%")
    if row["mean"] is not None:
        shares.append(f"{row['mean']:.4g}")
        if int(row["scored"]) > 1:
            shares[-1] += f" (total {row['total']:,.6g})"
    return ", ".join(shares)


__all__ = ["page"]
