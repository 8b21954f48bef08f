"""`upshot score`: score a run from a terminal."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from math import isfinite
from typing import Annotated

import typer

from upshot.cli.options import DataDir, Json, client_settings
from upshot.cli.terminal import say, say_json
from upshot.errors import ConfigurationError

SCORE_EXAMPLES = (
    "upshot score r1 polite true",
    "upshot score r1 quality 0.8 --comment 'short, but right' --source review",
    "upshot score r1 change -- -0.5",
)


def score(
    run: Annotated[str, typer.Argument(help="The run's id.", metavar="RUN")],
    name: Annotated[str, typer.Argument(help="The score's name.", metavar="NAME")],
    value: Annotated[
        str, typer.Argument(help="true, false or a number; a negative number after --.", metavar="VALUE")
    ],
    step: Annotated[str | None, typer.Option(help="A step of the run, instead of the whole run.")] = None,
    comment: Annotated[str | None, typer.Option(help="Why, in words.")] = None,
    source: Annotated[str | None, typer.Option(help="The score's source, such as a reviewer.")] = None,
    key: Annotated[
        str | None,
        typer.Option(
            help="Distinguishes scores of the same name; repeats with the same key are a single score."
        ),
    ] = None,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Score a run, or a step, and wait until Kafka has the score.

    Given again, the later value counts and the earlier one stays as history. The run needn't be known yet.
    """
    from upshot.cli.sending import send_events
    from upshot.errors import Misuse
    from upshot.sdk.facts import score_message
    from upshot.streams.events.topics import TOPICS

    settings = client_settings(data_dir)
    now = datetime.now(UTC)
    options = {"step_id": step, "comment": comment, "source": source, "key": key}
    try:
        message = score_message(run_id=run, name=name, value=_value(value), decided_at=now, **options)
    except Misuse as error:
        raise ConfigurationError(f"{error}; nothing was sent") from None
    asyncio.run(send_events(settings, TOPICS["scores"], [message]))
    if as_json:
        say_json({"topic": settings.topic("scores"), "run_id": run, "name": name, "value": _value(value)})
    else:
        say(f"{name} = {value} of {run} sent to {settings.topic('scores')}")


def _value(text: str) -> bool | float:
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    try:
        number = float(text)
    except ValueError:
        number = float("nan")
    if not isfinite(number):
        raise ConfigurationError(f"{text!r} is no score; nothing was sent: write true, false or a number")
    return number


__all__ = ["SCORE_EXAMPLES", "score"]
