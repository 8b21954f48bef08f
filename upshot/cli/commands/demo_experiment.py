"""The part of `upshot demo` that plays an experiment."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

from upshot.cli.demo_report import Bars
from upshot.cli.experiment_report import print_judgement, print_results
from upshot.cli.terminal import say, say_json
from upshot.demo.play import play_tickets, send
from upshot.demo.tickets import EXPERIMENT, HABITS, JUDGE, Ticket, experiment_event, registered, tickets
from upshot.insights.experiments.judging import judgement
from upshot.insights.experiments.reading import read_results
from upshot.insights.experiments.registry import plan_of
from upshot.insights.experiments.report import judgement_json, results_json
from upshot.insights.experiments.results import Results
from upshot.insights.experiments.verdict import verdict
from upshot.insights.experiments.written_rows import read_by_soon
from upshot.insights.reader import Reader
from upshot.insights.statistics.effects import of_means
from upshot.insights.statistics.moments import Moments
from upshot.settings import Settings

#: Seconds to wait for the rows that results read.
_PATIENCE = 60.0
#: Two-sided z of 1 in 20, as a test that expects one look.
_Z = 1.959964


def play_experiment(settings: Settings, reader: Reader, seed: int, bars: Bars, *, as_json: bool) -> list[str]:
    """Play the tickets, print the results; returns the disagreements with what was played, a line each."""
    now = datetime.now(UTC)
    experiment = registered(now)
    played = list(tickets(experiment, now, seed))
    asyncio.run(send(settings, [experiment_event(experiment)], lambda *_: None))
    asyncio.run(play_tickets(settings, reader, played, bars.progress))
    bars.stop()
    plan = plan_of(experiment)
    as_of = read_by_soon(reader, datetime.now(UTC), _PATIENCE)
    found = read_results(reader, plan, as_of)
    judged = verdict(found)
    calibrated = judgement(reader, plan, plan.metrics[0], JUDGE, as_of)
    wrong = _differences(found, played)
    if as_json:
        result = results_json(found, judged) | {"judge": judgement_json(calibrated)}
        say_json(result | {"tickets": len(played), "matches": not wrong, "differences": wrong})
        return wrong
    say()
    print_results(found, judged)
    print_judgement(calibrated)
    say()
    say(_naive(played), style="bold")
    say(f"{len(played):,} tickets, their times, costs, judge's scores and outcomes are invented.")
    for line in wrong:
        say(f"differs: {line}", style="bold red")
    say(f"matches the play: {'no' if wrong else 'yes'}", style="bold red" if wrong else "bold green")
    return wrong


def _naive(played: list[Ticket]) -> str:
    """The decision of somebody who compares the judge's scores alone."""
    plain, warm = (Moments.of(one.helpful for one in played if one.variant == name) for name in HABITS)
    effect = of_means(plain, warm)
    stated = "is" if abs(effect.difference) > _Z * effect.error else "isn't"
    return (
        f"By the judge alone, warm {stated} significantly better: {effect.difference:+.3f} on {JUDGE}, "
        f"z = {effect.difference / effect.error:.1f}. Its tickets come back more often all the same."
    )


def _differences(found: Results, played: list[Ticket]) -> list[str]:
    """The disagreements of ClickHouse with the play."""
    wrong = []
    for name in HABITS:
        own = [ticket for ticket in played if ticket.variant == name]
        solved = sum(not ticket.is_reopened for ticket in own)
        arm = found.metrics[0].arm(name)
        if (arm.moments.n, arm.moments.y) != (len(own), solved):
            wrong.append(
                f"{name}: {solved:,} of {len(own):,} tickets stayed solved, ClickHouse has "
                f"{arm.moments.y:,.0f} of {arm.moments.n:,}"
            )
    return wrong


def next_commands(data_dir: object) -> list[str]:
    """Commands that show more of the experiment, against the stack of `upshot demo --keep`."""
    there = f"--data-dir {data_dir}"
    return [
        f"upshot experiments results {EXPERIMENT} --by plan --judge {JUDGE} {there}",
        f'upshot query "SELECT variant, count() FROM exposures GROUP BY variant" {there}',
    ]


__all__ = ["next_commands", "play_experiment"]
