"""`upshot doctor`: checks every component and gives advice."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from upshot.cli.exits import Exit
from upshot.cli.options import DataDir, Json
from upshot.cli.terminal import say, say_json
from upshot.settings import load_settings

if TYPE_CHECKING:
    from upshot.ops.doctor.finding import Finding

DOCTOR_EXAMPLES = (
    "upshot doctor",
    "upshot doctor --metrics http://worker-1:9464/metrics,http://worker-1:9465/metrics",
    "upshot doctor --json",
)
#: A sign and a colour for each state; the sign alone says enough.
_SIGNS = {"fine": ("✓", "green"), "notice": ("!", "yellow"), "wrong": ("✗", "red"), "unknown": ("?", "dim")}


def doctor(
    data_dir: DataDir = None,
    metrics: Annotated[
        str,
        typer.Option(
            metavar="URL,…",
            help=(
                "Addresses of workers' metrics, such as http://worker-1:9464/metrics; the workers of a "
                "local stack are known."
            ),
        ),
    ] = "",
    as_json: Json = False,
) -> None:
    """Check every component; print each fault with its remedy.

    Workers' metrics are read twice, two seconds apart, to see which partitions move. The exit code is 1 for a
    fault, and 0 for mere notices.
    """
    from upshot.ops.doctor.examination import examine

    settings = load_settings(data_dir=data_dir)
    pages = [url.strip() for url in metrics.split(",") if url.strip()]
    findings = asyncio.run(examine(settings, pages, named=data_dir is not None))
    wrong = [finding for finding in findings if finding.state == "wrong"]
    if as_json:
        say_json({"ok": not wrong, "checks": [asdict(finding) for finding in findings]})
    else:
        _say(findings, len(wrong))
    if wrong:
        raise typer.Exit(Exit.REFUSED)


def _say(findings: Sequence[Finding], wrong: int) -> None:
    width = max(len(finding.check) for finding in findings)
    for finding in findings:
        sign, colour = _SIGNS[finding.state]
        say(
            f"{sign} {finding.check:<{width}}  {finding.found}",
            style=colour if finding.state != "fine" else "",
        )
        if finding.to_do:
            say(f"  {'':<{width}}  → {finding.to_do}")
    say()
    noticed = sum(finding.state == "notice" for finding in findings)
    if wrong:
        say(f"{wrong} {'thing is' if wrong == 1 else 'things are'} wrong.", style="bold red")
    else:
        look = f" {noticed} {'thing is' if noticed == 1 else 'things are'} worth a look." if noticed else ""
        say(f"Everything works.{look}", style="bold green")


__all__ = ["DOCTOR_EXAMPLES", "doctor"]
