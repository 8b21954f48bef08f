"""The providers whose webhooks are understood."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any

from pydantic import SecretStr

from upshot.settings import Settings
from upshot.sources import Source
from upshot.webhooks.github import GITHUB
from upshot.webhooks.names import Named, repository_named
from upshot.webhooks.signatures import check_github, check_stripe, check_zendesk
from upshot.webhooks.stripe import STRIPE
from upshot.webhooks.zendesk import ZENDESK

#: Raises Unsigned where the headers don't prove with one of the secrets who sent the body.
Check = Callable[[Mapping[str, str], bytes, Sequence[str], datetime], None]


@dataclass(frozen=True)
class Provider:
    """One provider: how it signs and in which header, what its webhooks mean by default, the header that names a delivery."""

    name: str
    check: Check
    signature: str
    default: Source
    delivery: str
    #: What a payload is about, by an id that stays when its name changes.
    named: Callable[[Any], Named | None] = lambda payload: None

    def secrets(self, settings: Settings) -> list[str]:
        """Its secrets; none where it isn't set up."""
        said: SecretStr = getattr(settings, f"webhook_{self.name}_secret")
        return [secret.strip() for secret in said.get_secret_value().split(",") if secret.strip()]


_ALL = (
    Provider("github", check_github, "X-Hub-Signature-256", GITHUB, "X-GitHub-Delivery", repository_named),
    Provider("stripe", check_stripe, "Stripe-Signature", STRIPE, ""),
    Provider(
        "zendesk", check_zendesk, "X-Zendesk-Webhook-Signature", ZENDESK, "X-Zendesk-Webhook-Invocation-Id"
    ),
)

#: By name.
PROVIDERS: Mapping[str, Provider] = MappingProxyType({provider.name: provider for provider in _ALL})

__all__ = ["PROVIDERS", "Check", "Provider"]
