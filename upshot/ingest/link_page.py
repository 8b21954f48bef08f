"""The page of a signed link, as HTML. Texts of the link are escaped."""

from __future__ import annotations

from jinja2 import Environment, PackageLoader, StrictUndefined

from upshot.links import Link

_environment = Environment(
    loader=PackageLoader("upshot.ingest"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def link_page(link: Link | None, *, recorded: bool, trouble: str) -> str:
    """The page: a request for confirmation, the recorded outcome, or the reason for none (`trouble`)."""
    return _environment.get_template("link.html").render(link=link, recorded=recorded, trouble=trouble)


__all__ = ["link_page"]
