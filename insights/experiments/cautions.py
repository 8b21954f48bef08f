"""What to know before trusting an experiment's results: sentences beside the verdict."""

from __future__ import annotations

from datetime import timedelta

from upshot.insights.experiments.results import MetricResult, Results
from upshot.insights.statistics.allocation import unserved


def in_play(results: Results, deciding: MetricResult) -> set[str]:
    """The variants that the verdict is about: all but those switched off with too few units to compare.

    A variant without a weight gets no further unit, and would hold the verdict up for ever.
    """
    plan = results.plan
    present = plan.phases[-1].weights if plan.phases else {}
    on = {
        arm.variant
        for arm in deciding.arms
        if arm.variant != plan.control
        and (not present or present.get(arm.variant, 0.0) > 0 or arm.is_enough or arm.maturing)
    }
    return on or set(plan.arms[1:])


def cautions(results: Results) -> list[str]:
    """What a reader has to know before trusting the results, each in a sentence."""
    found = []
    if results.plan.changed:
        found.append(
            f"{', '.join(results.plan.changed)} changed in the registry after the start: these results keep "
            "to the start, since a change after a look would make any claim possible"
        )
    if over := _over(results):
        found.append(over)
    for name, n in results.unknown_variants.items():
        found.append(
            f"{n:,} units have the variant {name}, which the experiment doesn't list: they are left out"
        )
    for name, n in results.unknown_phases.items():
        found.append(
            f"{n:,} units were exposed in phase {name}, which the experiment doesn't list: they are left out"
        )
    if n := _badly_dated(results):
        found.append(
            f"{n:,} units have exposures dated more than a year before they were recorded, or more than a "
            "day after: nobody knows when their time is up, so they are left out; look at the agents' clocks"
        )
    found += _unserved(results)
    found += _switched_off(results)
    found += _several_agents(results)
    for result in results.metrics:
        if result.differs_in_missing:
            found.append(
                f"the arms differ in how many units have no outcome for {result.metric.name} "
                f"(p = {result.missing_p:.2g}): find out why before trusting the difference"
            )
    found += _several_versions(results)
    if results.metrics and (shared := results.metrics[0].population.shared_subjects):
        found.append(
            f"{shared:,} subjects are waited for by runs of several variants: one variant may move the "
            "other's outcome"
        )
    return found


def _badly_dated(results: Results) -> int:
    """The units whose clock can't be right."""
    arms = results.metrics[0].arms if results.metrics else ()
    return sum(arm.excluded.get("bad_clock", 0) for arm in arms)


def _unserved(results: Results) -> list[str]:
    """Arms that have a weight, and were given to nobody among many units."""
    return [
        f"{arm} is an arm that no agent serves: none of {sum(each.counts.values()):,} units of phase "
        f"{each.phase} was given it, with a weight of {each.weights[arm]:g} in "
        f"{sum(each.weights.values()):g}: deploy code that has the arm, or set its weight to 0"
        for each in results.ratios
        for arm in unserved(each.counts, each.weights)
    ]


def _several_agents(results: Results) -> list[str]:
    """Variants served by other versions of the agent than control was."""
    return [
        f"phase {each.phase}: {each.variant} was served by version {each.version or '(none)'} of the agent "
        f"in {each.share:.0%} of its runs, and {each.control} in {each.control_share:.0%}: the difference "
        "may be that of the versions"
        for each in results.confounded
    ]


def _over(results: Results) -> str:
    """Whether the experiment has run longer than its cap."""
    plan = results.plan
    began = plan.started or results.first_exposed_at
    if plan.cap is None or began is None or plan.shipped or results.as_of < began + plan.cap:
        return ""
    return (
        f"the experiment was to run {plan.cap / timedelta(days=1):g} days at most, and began on "
        f"{began:%-d %B}: ship or stop it"
    )


def _switched_off(results: Results) -> list[str]:
    """Variants without a weight that have units, but too few to compare."""
    deciding = results.deciding
    if deciding is None:
        return []
    off = {*results.plan.arms[1:]} - in_play(results, deciding)
    return [
        f"{arm.variant} has no weight any more, and its {arm.moments.n:,} mature units are too few: the "
        "verdict is about the others"
        for arm in deciding.arms
        if arm.variant in off and arm.exposed
    ]


def _several_versions(results: Results) -> list[str]:
    """Metrics whose scorer has several versions in one phase."""
    groups: dict[tuple[str, str], list[str]] = {}
    for each in results.versions:
        groups.setdefault((each.metric, each.phase), []).append(f"{each.version}: {each.units:,} units")
    return [
        f"phase {phase} has {metric} from several versions of its scorer ({', '.join(counts)}): the "
        "difference may be the scorer's"
        for (metric, phase), counts in groups.items()
        if len(counts) > 1
    ]


__all__ = ["cautions", "in_play"]
