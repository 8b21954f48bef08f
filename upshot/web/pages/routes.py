"""The pages of a server, by their paths."""

from __future__ import annotations

from aiohttp import web

from upshot.ingest.sending import IngestProducer
from upshot.web.live import Live
from upshot.web.pages.alert_rules import RuleMuting, alert_rule, alert_rules
from upshot.web.pages.alerts import NoticeRetrying, alert, alerts
from upshot.web.pages.dead_letters import Resending, dead_letter, dead_letters
from upshot.web.pages.experiment_list import experiments
from upshot.web.pages.experiments import ExperimentPages
from upshot.web.pages.frame import login, moved, share, sign_in, zone
from upshot.web.pages.home import home
from upshot.web.pages.insights import InsightPages
from upshot.web.pages.notices import notices
from upshot.web.pages.openapi import api, openapi_json
from upshot.web.pages.query_actions import QueryActions
from upshot.web.pages.receivers import receivers
from upshot.web.pages.registry import RegistryChanges
from upshot.web.pages.replay import replay
from upshot.web.pages.run import FollowupRetrying, run
from upshot.web.pages.runs import runs
from upshot.web.pages.scores import score, scores
from upshot.web.pages.subjects import WaitCancelling, any_id, subject
from upshot.web.pages.system import system
from upshot.web.pages.waits import waits
from upshot.web.running import RunningQueries
from upshot.web.saved import SavedQueries
from upshot.web.site import Site
from upshot.web.standing import OF_PAGES, OF_STATUS, StandingQuestions, StandingSet
from upshot.web.status import Watch
from upshot.web.verdicts import Verdicts


def add_pages(app: web.Application, site: Site, watch: Watch, producer: IngestProducer) -> None:
    """Add every page; `producer` sends mended events."""
    live, resending = Live(site.settings), Resending(site.settings, producer)
    verdicts = Verdicts(site.settings)
    app.cleanup_ctx.append(live.context)
    app.cleanup_ctx.append(verdicts.context)
    standing = StandingQuestions(
        StandingSet(site.remembered, OF_PAGES), StandingSet(watch.remembered, OF_STATUS)
    )
    app.cleanup_ctx.append(standing.context)
    app.on_cleanup.append(site.close)
    site.add_get(app, "/", home(watch, verdicts), reads_many=True)
    site.add_get(app, "/system", system(watch), role="nobody", reads_many=True)
    site.add_get(app, "/runs", runs, reads_many=True)
    site.add_get(app, "/runs/{run}", run)
    site.add_get(app, "/runs/{run}/replay", replay, reads_many=True)
    site.add_post(app, "/runs/{run}/retry", FollowupRetrying(producer).retry)
    site.add_get(app, "/r", any_id)
    site.add_get(app, "/r/{id}", any_id)
    site.add_get(app, "/subjects/{subject}", subject)
    site.add_post(app, "/subjects/{subject}/cancel", WaitCancelling(producer).cancel)
    site.add_get(app, "/waits", waits, reads_many=True)
    site.add_get(app, "/scores", scores, reads_many=True)
    site.add_get(app, "/scores/{name}", score, reads_many=True)
    site.add_get(app, "/experiments", experiments(verdicts), reads_many=True)
    pages = ExperimentPages()
    site.add_get(app, "/experiments/{experiment}", pages.experiment, reads_many=True)
    site.add_get(app, "/experiments/{experiment}/units", pages.units, reads_many=True)
    changes = RegistryChanges(producer, verdicts)
    site.add_post(app, "/experiments", changes.create)
    for name in ("start", "set", "stop", "ship"):
        site.add_post(app, f"/experiments/{{experiment}}/{name}", getattr(changes, name))
    _add_alerts(app, site, producer)
    _add_insights(app, site)
    site.add_get(app, "/dead-letters", dead_letters)
    site.add_get(app, "/dead-letters/{id}", dead_letter)
    site.add_post(app, "/dead-letters/{id}/resend", resending.resend)
    site.add_get(app, "/zone", zone, role="nobody")
    site.add_get(app, "/login", login, role="nobody")
    app.router.add_post("/login", site.page(sign_in, "nobody", own_form=False))
    site.add_get(app, "/share", share)
    site.add_get(app, "/api", api, role="nobody")
    app.router.add_get("/openapi.json", openapi_json)
    app.router.add_get("/live", site.page(live.page, "viewer"))


def _add_alerts(app: web.Application, site: Site, producer: IngestProducer) -> None:
    site.add_get(app, "/alerts", alerts)
    site.add_get(app, "/alerts/rules", alert_rules)
    site.add_get(app, "/alerts/rules/{name}", alert_rule)
    site.add_post(app, "/alerts/rules/{name}/mute", RuleMuting(site.settings, producer).mute)
    site.add_get(app, "/alerts/receivers", receivers)
    site.add_get(app, "/alerts/notices", notices)
    site.add_get(app, "/alerts/deliveries", moved("/alerts/notices"))
    site.add_get(app, "/alerts/{alert}", alert)
    site.add_post(app, "/alerts/{alert}/retry", NoticeRetrying(producer).retry)


def _add_insights(app: web.Application, site: Site) -> None:
    running, saved = RunningQueries(site.settings), SavedQueries(site.settings)
    pages, actions = InsightPages(running, saved), QueryActions(running, saved)
    app.on_cleanup.append(lambda _: saved.close())
    app.router.add_get("/insights/schema.json", site.page(pages.schema, "viewer"))
    app.router.add_get("/insights/running/{ticket}.json", site.page(actions.progress, "viewer"))
    site.add_post(app, "/insights/running/{ticket}/cancel", actions.cancel, role="viewer")
    site.add_get(app, "/insights", pages.insights)
    site.add_get(app, "/insights/{query}", pages.named_query)
    site.add_get(app, "/insights/saved/{name}", pages.saved_query)
    site.add_post(app, "/insights/saved", actions.save)
    site.add_post(app, "/insights/saved/{name}/delete", actions.delete)


__all__ = ["add_pages"]
