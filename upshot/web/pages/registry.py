"""Changes of experiments from their pages, as `upshot experiments` makes them: start, set, stop, ship."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiohttp import web

from upshot.errors import ConfigurationError
from upshot.experiments.changes import ramped, reweighted, shipped, started, stopped
from upshot.experiments.layers import check_layer
from upshot.ingest.answers import Problem
from upshot.ingest.sending import IngestProducer
from upshot.insights.experiments.drafting import StatedExperiment, drafted, parse_share
from upshot.insights.experiments.report import results_of
from upshot.registry.records import record_event, record_of, registered
from upshot.schemas.experiments import Experiment
from upshot.web.actions import confirmed_reason, log_action
from upshot.web.pages.as_of import as_of_known
from upshot.web.pages.experiment_list import NEW, list_of, number_of
from upshot.web.site import PageRequest
from upshot.web.urls import url
from upshot.web.verdicts import Verdicts
from upshot.web.views import View

_UNCHANGED = "nothing was changed"
#: How fields with weights are called, before the name of their variant.
_WEIGHT = "weight:"


class RegistryChanges:
    """Writes changed records; the page of before says which record it showed."""

    def __init__(self, producer: IngestProducer, verdicts: Verdicts) -> None:
        self._producer = producer
        self._verdicts = verdicts

    async def ship(self, asked: PageRequest) -> web.StreamResponse:
        """Give all units the winner; the reason and the results of this moment stay in the record."""
        form, record, why = await _confirmed(asked)
        variant = str(form.get("variant", ""))
        at, _ = await as_of_known(asked)
        found = await asked.read(results_of, asked.reader, record, at)
        changed = shipped(record, variant, asked.now, why, found)
        return await self._sent(asked, changed, f"shipped {variant} of {record.experiment}", why)

    async def stop(self, asked: PageRequest) -> web.StreamResponse:
        """Give all units the control."""
        _, record, why = await _confirmed(asked)
        changed = stopped(record, asked.now, why)
        return await self._sent(asked, changed, f"stopped {record.experiment}", why)

    async def start(self, asked: PageRequest) -> web.StreamResponse:
        """Start a draft as it stands."""
        _, record, why = await _confirmed(asked)
        if record.status != "draft":
            raise Problem(409, f"{record.experiment} is {record.status} already; {_UNCHANGED}")
        if record.layer is not None:
            known = await asked.read(registered, asked.site.settings)
            try:
                check_layer(record, known.values())
            except ConfigurationError as error:
                raise Problem(409, str(error)) from None
        changed = started(record.model_copy(update={"reason": why}), asked.now)
        return await self._sent(asked, changed, f"started {record.experiment}", why)

    async def set(self, asked: PageRequest) -> web.StreamResponse:
        """Give the variants other weights, which opens a phase, or the experiment other traffic."""
        form, record, why = await _confirmed(asked)
        if "traffic" in form:
            changed = ramped(record, parse_share(str(form["traffic"])), asked.now, why)
            what = f"set the traffic of {record.experiment} to {changed.traffic:.4g}"
        else:
            changed = reweighted(record, _weights(form), asked.now, why)
            weights = ", ".join(f"{name}={weight:g}" for name, weight in changed.variants.items())
            what = f"set the weights of {record.experiment} to {weights}, phase {changed.phase}"
        return await self._sent(asked, changed, what, why)

    async def create(self, asked: PageRequest) -> View | web.StreamResponse:
        """Put a new experiment into the registry, running or as a draft."""
        form = await asked.request.post()
        why = confirmed_reason(form, _UNCHANGED)
        try:
            draft = drafted(_stated(form, why), asked.now)
            known = await asked.read(registered, asked.site.settings, draft.experiment)
            before = known.get(draft.experiment)
            if before is not None and before.status != "draft":
                raise ConfigurationError(
                    f"{draft.experiment} is {before.status} already; {_UNCHANGED}: choose another name"
                )
            if form.get("as") != "draft":
                check_layer(draft, known.values())
        except ConfigurationError as error:
            written = {name: str(text) for name, text in form.items()}
            return await list_of(asked, self._verdicts, written, str(error))
        is_draft = form.get("as") == "draft"
        record = draft if is_draft else started(draft, asked.now)
        what = f"{'drafted' if is_draft else 'started'} {record.experiment}"
        await self._send(asked, record, what, why)
        raise web.HTTPSeeOther(
            url("/experiments", started=record.experiment, changed=record.changed_at.isoformat())
        )

    async def _sent(self, asked: PageRequest, changed: Experiment, what: str, why: str) -> web.StreamResponse:
        await self._send(asked, changed, what, why)
        raise web.HTTPSeeOther(
            url("/experiments", changed.experiment, changed=changed.changed_at.isoformat())
        )

    async def _send(self, asked: PageRequest, changed: Experiment, what: str, why: str) -> None:
        await self._producer.send([record_event(changed)])
        log_action(what, asked.request.remote, asked.frame.role, why)


def _weights(form: Mapping[str, Any]) -> dict[str, float]:
    """The weights in a form: a field for each variant, and one more for a new variant."""
    found = {
        name.removeprefix(_WEIGHT): _weight(name.removeprefix(_WEIGHT), str(text))
        for name, text in form.items()
        if name.startswith(_WEIGHT)
    }
    if further := str(form.get("further", "")).strip():
        found[further] = _weight(further, str(form.get("further_weight", "")))
    return found


def _weight(variant: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ConfigurationError(
            f"the weight of {variant!r:.100} is a number such as 1, not {text!r:.100}; {_UNCHANGED}"
        ) from None


def _stated(form: Mapping[str, Any], why: str) -> StatedExperiment:
    texts = {name: str(form.get(name, "")).strip() for name in NEW}
    planned = number_of(texts["planned"], "planned units")
    if planned is not None and not planned.is_integer():
        raise ConfigurationError(f"planned units are a whole number; {_UNCHANGED}")
    alpha = number_of(texts["alpha"], "alpha")
    return StatedExperiment(
        name=texts["name"],
        control=texts["control"],
        variants=texts["variants"],
        unit=texts["unit"] or "run",
        decide=_lines(texts["decide"]),
        guard=_lines(texts["guard"]),
        mde=number_of(texts["mde"], "the least effect"),
        planned=int(planned) if planned is not None else None,
        alpha=0.05 if alpha is None else alpha,
        traffic=texts["traffic"] or "1",
        audience=texts["audience"] or None,
        layer=_lines(texts["layer"]),
        holdout=texts["holdout"] or None,
        adaptive=bool(texts["adaptive"]),
        reason=why,
    )


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


async def _confirmed(asked: PageRequest) -> tuple[Mapping[str, Any], Experiment, str]:
    """The form, the record as the registry has it, and the reason. Raises Problem where the record is not
    the one that the page showed.
    """
    form = await asked.request.post()
    why = confirmed_reason(form, _UNCHANGED)
    record = await asked.read(record_of, asked.site.settings, asked.part("experiment"))
    seen = str(form.get("seen", ""))
    if seen and seen != record.changed_at.isoformat():
        raise Problem(
            409,
            f"{record.experiment} was changed meanwhile ({record.status}, {record.reason or 'no reason'}); "
            f"{_UNCHANGED}: look at its page again",
        )
    return form, record, why


__all__ = ["RegistryChanges"]
