"""OpenFeature and Upshot's experiments, either way round; needs `pip install 'upshot[openfeature]'`.

`UpshotProvider` serves an app's experiments to code that asks OpenFeature for flags. `ExposureHook` records
the evaluations of any other provider as exposures, for experiments named to it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from openfeature.evaluation_context import EvaluationContext
from openfeature.exception import FlagNotFoundError, TargetingKeyMissingError, TypeMismatchError
from openfeature.flag_evaluation import FlagEvaluationDetails, FlagResolutionDetails, Reason
from openfeature.hook import Hook, HookContext, HookHints
from openfeature.provider import AbstractProvider, Metadata
from openfeature.track import TrackingEventDetails

from upshot.errors import Misuse
from upshot.sdk.context import run_in
from upshot.sdk.experiments import Experiment

if TYPE_CHECKING:
    from upshot.sdk.app import App

V = TypeVar("V")

#: Reasons of an evaluation that chose among nothing.
_NO_CHOICE = frozenset({"ERROR", "DISABLED", "DEFAULT", "STATIC"})


class UpshotProvider(AbstractProvider):
    """Serves experiments as flags: the flag's key is the experiment's name, the targeting key its unit.

    Inside a run an evaluation chooses the variant and records the exposure; outside of runs the variant is
    looked up, and nothing is recorded. `track` sends an outcome: the event's name is its type, the subject
    the attribute `subject` of the details, else the targeting key.
    """

    def __init__(self, app: App, experiments: Iterable[Experiment[Any]]) -> None:
        super().__init__()
        self._app = app
        self._experiments = {experiment.name: experiment for experiment in experiments}

    def get_metadata(self) -> Metadata:
        """The provider's name."""
        return Metadata(name="upshot")

    def resolve_boolean_details(
        self, flag_key: str, default_value: bool, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[bool]:
        """A variant whose value is true or false."""
        return self._resolved(flag_key, bool, evaluation_context)

    def resolve_string_details(
        self, flag_key: str, default_value: str, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[str]:
        """A variant whose value is a text, such as a prompt or a model's name."""
        return self._resolved(flag_key, str, evaluation_context)

    def resolve_integer_details(
        self, flag_key: str, default_value: int, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[int]:
        """A variant whose value is a whole number."""
        return self._resolved(flag_key, int, evaluation_context)

    def resolve_float_details(
        self, flag_key: str, default_value: float, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[float]:
        """A variant whose value is a number."""
        return self._resolved(flag_key, float, evaluation_context)

    def resolve_object_details(
        self,
        flag_key: str,
        default_value: Sequence[Any] | Mapping[str, Any],
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[Any]:
        """A variant whose value is a list or an object."""
        return self._resolved(flag_key, (list, tuple, dict), evaluation_context)

    def track(
        self,
        tracking_event_name: str,
        evaluation_context: EvaluationContext | None = None,
        tracking_event_details: TrackingEventDetails | None = None,
    ) -> None:
        """Send an outcome. Raises Misuse where neither the details nor the context name a subject."""
        details = tracking_event_details or TrackingEventDetails()
        data = dict(details.attributes or {})
        unit = evaluation_context.targeting_key if evaluation_context else None
        subject = data.pop("subject", None) or unit
        if not isinstance(subject, str):
            raise Misuse(
                f"track({tracking_event_name!r}) names no subject: give the context a targeting key, or the "
                "details an attribute `subject`"
            )
        if details.value is not None:
            data["value"] = details.value
        self._app.outcome(tracking_event_name, subject, data)

    def _resolved(
        self, key: str, kind: type[V] | tuple[type, ...], context: EvaluationContext | None
    ) -> FlagResolutionDetails[Any]:
        experiment = self._experiments.get(key)
        if experiment is None:
            raise FlagNotFoundError(f"no experiment {key!r} was given to the provider")
        unit = context.targeting_key if context else None
        if unit is None and experiment.unit != "run":
            raise TargetingKeyMissingError(f"experiment {key!r} needs a targeting key: its {experiment.unit}")
        inside = run_in(None) is not None
        attributes = dict(context.attributes) if context else {}
        variant = experiment.choose(unit) if inside else experiment.peek(unit, attributes=attributes)
        value = float(variant.value) if kind is float and type(variant.value) is int else variant.value
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise TypeMismatchError(f"variant {variant.name!r} of {key!r} is of type {type(value).__name__}")
        metadata: dict[str, bool | int | float | str] = {"phase": variant.phase}
        if variant.probability is not None:
            metadata["probability"] = variant.probability
        return FlagResolutionDetails(
            value,
            variant=variant.name,
            reason=Reason.SPLIT if variant.exposed else Reason.DEFAULT,
            flag_metadata=metadata,
        )


class ExposureHook(Hook):
    """Records evaluations of other providers as exposures of the current run, strategy `external`.

    Only flags of the given experiments count. The arm is found by the variant's name, else by its value:
    LaunchDarkly names variants by an index, GrowthBook by a rule. Evaluations outside of runs, and those for
    which nothing was chosen (an error, a flag that is off, LaunchDarkly's `inExperiment: false`), are left
    out.
    """

    def __init__(self, experiments: Iterable[Experiment[Any]]) -> None:
        self._experiments = {experiment.name: experiment for experiment in experiments}

    def after(self, hook_context: HookContext, details: FlagEvaluationDetails[Any], hints: HookHints) -> None:
        """Record the exposure."""
        experiment = self._experiments.get(hook_context.flag_key)
        if experiment is None or run_in(None) is None or not _chose(details):
            return
        arm = _arm(experiment, details)
        if arm is not None:
            unit = hook_context.evaluation_context.targeting_key
            experiment.expose(arm, unit=unit, probability=experiment.probability_of(arm))


def _chose(details: FlagEvaluationDetails[Any]) -> bool:
    reason = str(details.reason or "").upper()
    return reason not in _NO_CHOICE and details.flag_metadata.get("inExperiment") is not False


def _arm(experiment: Experiment[Any], details: FlagEvaluationDetails[Any]) -> str | None:
    if details.variant in experiment.arms:
        return details.variant
    same = [name for name, value in experiment.arms.items() if value == details.value]
    return same[0] if len(same) == 1 else None


__all__ = ["ExposureHook", "UpshotProvider"]
