"""`upshot link`: a signed URL for recording a single outcome."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Annotated

import typer
from pydantic import TypeAdapter, ValidationError

from upshot.cli.options import DataDir, Json
from upshot.cli.terminal import say, say_json
from upshot.errors import ConfigurationError
from upshot.schemas.fields import Window
from upshot.settings import load_settings

LINK_EXAMPLES = (
    """upshot link --type ticket.rated --subject ticket:8841 --data '{"good":true}'""",
    "upshot link --type order.confirmed --subject order:77 --expires PT12H",
)


def link(
    kind: Annotated[str, typer.Option("--type", help="The outcome's type, such as `ticket.rated`.")],
    subject: Annotated[str, typer.Option(help="The outcome's subject, such as `ticket:7`.")],
    data: Annotated[
        str | None,
        typer.Option(help="The outcome's data, as JSON; everybody with the link can read the data."),
    ] = None,
    expires: Annotated[
        str, typer.Option(metavar="DURATION", help="How long the link works (ISO 8601).")
    ] = "P7D",
    event_id: Annotated[
        str | None,
        typer.Option("--id", help="The outcome's id.", show_default="made from type, subject and data"),
    ] = None,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Print a signed URL for recording an outcome by a click.

    Opening the URL shows a page with a button; the button records. Repeated clicks, and further links with
    the same outcome, record the outcome once. Needs `UPSHOT_LINK_SECRET`, the same as the web server's, and
    `UPSHOT_PUBLIC_URL`, where people reach that server.
    """
    from upshot.links import outcome_link

    settings = load_settings(data_dir=data_dir)
    url = outcome_link(
        kind, subject, data=_parsed(data), expires=_duration(expires), id=event_id, settings=settings
    )
    if as_json:
        say_json({"url": url})
    else:
        say(url)


def _parsed(data: str | None) -> object:
    try:
        return None if data is None else json.loads(data)
    except ValueError as error:
        raise ConfigurationError(f"--data is no JSON: {error}; no link was made") from None


def _duration(text: str) -> timedelta:
    try:
        return TypeAdapter[timedelta](Window).validate_python(text)
    except ValidationError:
        raise ConfigurationError(
            f"--expires {text} is no duration such as P7D or PT12H; no link was made"
        ) from None


__all__ = ["LINK_EXAMPLES", "link"]
