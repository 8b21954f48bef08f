"""`upshot doctor`: look at every part and say what to do."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

import typer

from upshot.cli.exits import Exit
from upshot.cli.options import DataDir, Json, reading
from upshot.cli.terminal import say, say_json
from upshot.settings import load_settings

if TYPE_CHECKING:
    from upshot.doctor.finding import Finding

DOCTOR_EXAMPLES = ("upshot doctor", "upshot doctor --json")
#: A sign and a colour for each state; the sign alone says enough.
_SIGNS = {"fine": ("✓", "green"), "notice": ("!", "yellow"), "wrong": ("✗", "red"), "unknown": ("?", "dim")}


def doctor(data_dir: DataDir = None, as_json: Json = False) -> None:
    """Look at every part, and say what is wrong and what to do about it.

    The exit code is 1 when something is wrong; what is only worth a notice leaves it at 0.
    """
    from upshot.doctor.clickhouse import examine_clickhouse
    from upshot.doctor.kafka import examine_kafka
    from upshot.doctor.place import examine_place

    settings = load_settings(data_dir=data_dir)
    findings = examine_place(settings.data_dir, named=data_dir is not None)
    if not any(finding.check == "data directory" and finding.state == "wrong" for finding in findings):
        findings += asyncio.run(examine_kafka(settings))
        findings += examine_clickhouse(reading(settings))
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
