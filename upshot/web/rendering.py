"""Templates: everything from events is escaped, cut, and can't turn or hide the text around it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from upshot.insights.pages.query import PageQuery
from upshot.plain_text import plain
from upshot.web import formats
from upshot.web.access import Role
from upshot.web.assets import asset
from upshot.web.navigation import NAVIGATION
from upshot.web.urls import Url, url

#: Characters of a text that a page shows, payloads excepted.
_LONGEST = 1_000


class Payload(str):
    """A text that is cut already, such as a step's output."""

    __slots__ = ()


@dataclass(frozen=True)
class Frame:
    """What surrounds a page: its place, the clock of its reader, and the reader's rights."""

    path: str = "/"
    clock: formats.Clock = field(default_factory=lambda: formats.Clock(datetime.now(UTC)))
    role: Role = "operator"
    #: The parameters of the page, for links that change one of them.
    query: Mapping[str, list[str]] = field(default_factory=dict)
    token: str = ""
    can_share: bool = False
    by_key: bool = False
    #: Seconds until the page is loaded again by itself; None for never.
    again: int | None = None

    def here(self, **changed: object) -> str:
        """This page with some parameters changed; None removes one."""
        return url(self.path, query={**self.query, **changed})


def _shown(value: Any) -> Any:
    """A value of the template; existing markup and addresses stay."""
    if type(value) is Payload:
        return plain(value, keep="\n\t")
    if type(value) is not str:
        return value
    text = plain(value[:_LONGEST], keep="\n")
    return f"{text}…" if len(value) > _LONGEST else text


def sql_url(query: PageQuery, run: bool = False) -> Url:
    """The SQL page with a query and its parameters filled in; `run`: with its rows."""
    fields = {f"p.{name}": _as_field(value) for name, value in query.parameters.items()}
    return url("/insights", query={"sql": query.sql, **fields, "run": run})


def _as_field(value: object) -> str:
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")
    return str(value)


_environment = Environment(
    loader=PackageLoader("upshot.web"),
    autoescape=True,
    undefined=StrictUndefined,
    finalize=_shown,
    trim_blocks=True,
    lstrip_blocks=True,
)
_environment.globals.update(
    url=url,
    sql_url=sql_url,
    payload=Payload,
    whole_text=Payload,
    shown_cell=formats.shown_cell,
    asset=asset,
    navigation=NAVIGATION,
    nothing=formats.NOTHING,
)
_environment.filters.update(
    number=formats.number,
    short=formats.short_number,
    percent=formats.percent,
    money=formats.money,
    duration=formats.duration,
)
_environment.globals.update(score_value=formats.score_value, seconds_between=formats.seconds_between)


def render(template: str, frame: Frame, **context: Any) -> str:
    """The page as HTML."""
    return _environment.get_template(template).render(
        frame=frame, at=frame.clock.at, ago=frame.clock.ago, **context
    )


__all__ = ["Frame", "Payload", "render", "sql_url"]
