"""Experiments of an app: declaring them, and what they share."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import TypeVar

from upshot.errors import Misuse
from upshot.experiments.assignment import Custom
from upshot.experiments.definition import declared
from upshot.experiments.overrides import parsed
from upshot.registry.definitions import Registry
from upshot.registry.reader import RegistryReader
from upshot.sdk.experiments import Experiment
from upshot.settings import Settings

T = TypeVar("T")


class Experiments:
    """The part of an app with the experiments."""

    #: What is registered, as far as this process knows.
    registry: Registry
    #: Variants asked for by the setting `variants`.
    forced_variants: Mapping[str, str]

    @property
    def forgives(self) -> bool:
        """Whether unrecordable calls are reported in the log alone."""
        raise NotImplementedError

    def prepare_experiments(self, settings: Settings, *, follow: bool) -> None:
        """Make the registry, which follows the topic where `follow`. Raises ConfigurationError."""
        following = functools.partial(RegistryReader, settings) if follow else None
        origin = f"{settings.kafka_url} {settings.topic('experiments')}"
        self.registry = Registry(following, settings.data_dir / "experiments.json", origin)
        self.forced_variants = parsed(settings.variants)

    def experiment(
        self,
        name: str,
        arms: Mapping[str, T],
        *,
        control: str,
        unit: str = "run",
        weights: Mapping[str, float] | None = None,
        strategy: Custom | None = None,
    ) -> Experiment[T]:
        """An experiment: `arms` are the variants and what the code uses for each.

        `unit` is the kind of randomised unit: each run for itself, or such as `user`, to be named in
        `choose(unit=…)`. The weights are equal where absent, and count until the registry has the experiment.
        `strategy` is a choice of your own: a function of unit and facts giving an arm, or an arm and its
        probability. Nothing is connected before the first `choose`. Raises Misuse.
        """
        given = {arm: 1.0 for arm in arms} if weights is None else weights
        if set(given) != set(arms):
            raise Misuse(
                f"experiment {name!r}: weights are for {', '.join(map(repr, given))}, and its arms are "
                f"{', '.join(map(repr, arms))}"
            )
        return Experiment(self, arms, declared(name, given, control=control, unit=unit), strategy)

    def experiments_ready(self, timeout: float = 5.0) -> bool:
        """Wait until the registry of experiments was read, at most `timeout` seconds; whether it was.

        For short programs: others go on with the registry's copy on disk, or with the code's weights.
        """
        return self.registry.wait(timeout)


__all__ = ["Experiments"]
