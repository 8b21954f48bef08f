"""The Faust app of the role, and its posts over the network."""

from __future__ import annotations

from opentelemetry.metrics import Meter

from upshot.processors.clock import wall_clock
from upshot.processors.notifications.handler import ROLE, TABLE, Notifications
from upshot.processors.notifications.metrics import watch_notices
from upshot.receivers.configured import Receivers, no_receiver, read_receivers
from upshot.receivers.messages import AlertMessage
from upshot.receivers.posting import Poster
from upshot.receivers.results import Failed, PostResult
from upshot.schemas.alert_rules import AlertRule
from upshot.settings import Settings
from upshot.streams.events.instants import Micros, instant, micros
from upshot.streams.events.records import decode
from upshot.streams.kafka.compacted import CompactedTopic
from upshot.streams.metrics.instruments import Instruments
from upshot.streams.runtime import BatchApp, BatchContext, RoleApp, Timing, batch_app


class Network:
    """The receivers of the settings over the network, and the rules of the topic `alert-rules`.

    A notice for a name that no receiver has fails, and is tried again.
    """

    def __init__(self, settings: Settings, receivers: Receivers) -> None:
        self._receivers = receivers
        self._poster = Poster(receivers)
        self._rules: CompactedTopic[AlertRule] = CompactedTopic(
            settings, "alert-rules", lambda record: decode(AlertRule, record)
        )

    async def post(self, receiver: str, message: AlertMessage) -> PostResult:
        """See Outside."""
        if receiver not in self._receivers:
            return Failed(f"is not set up: {no_receiver(receiver, self._receivers.by_name)}")
        return await self._poster.post(self._receivers.named(receiver), message, instant(wall_clock()))

    def muted(self, rule: str, now: Micros) -> str:
        """See Outside."""
        known = self._rules.records.get(rule)
        if known is None or known.muted_until is None or micros(known.muted_until) <= now:
            return ""
        reason = f": {known.muted_reason}" if known.muted_reason else ""
        return f"the rule is muted until {known.muted_until.isoformat()}{reason}"

    async def start(self) -> None:
        """See Outside."""
        await self._rules.start()

    async def stop(self) -> None:
        """See Outside."""
        await self._rules.stop()
        await self._poster.disconnect()


def notifications_app(
    settings: Settings, timing: Timing | None = None, meter: Meter | None = None
) -> BatchApp:
    """The Faust app of the role. Raises ConfigurationError; call within a running event loop."""
    instruments = Instruments(ROLE, meter)
    receivers = read_receivers(settings)

    def make(context: BatchContext) -> Notifications:
        role = Notifications(context, settings, receivers, Network(settings, receivers))
        watch_notices(instruments, role.counts, role.dead_letters, role.posts)
        return role

    return batch_app(
        settings.app_id(ROLE), settings, make, table_name=TABLE, timing=timing, instruments=instruments
    )


def role_app(settings: Settings, app: str | None = None) -> RoleApp:
    """The role, as `upshot.processors.roles` builds it. Raises ConfigurationError for a wrong receiver."""
    read_receivers(settings)
    return RoleApp(notifications_app)


__all__ = ["Network", "notifications_app", "role_app"]
