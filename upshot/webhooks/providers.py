"""The known providers of webhooks."""

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

#: Raises Unsigned where the headers don't prove the body's sender with any of the secrets.
Check = Callable[[Mapping[str, str], bytes, Sequence[str], datetime], None]


@dataclass(frozen=True)
class Provider:
    """A provider: its signing and header of signatures, its default mapping, the header naming a delivery."""

    name: str
    check: Check
    signature: str
    default: Source
    delivery: str
    #: The object of a payload, by an id which stays when the name changes.
    named: Callable[[Any], Named | None] = lambda payload: None

    def secrets(self, settings: Settings) -> list[str]:
        """The secrets; none where the provider isn't set up."""
        secrets: SecretStr = getattr(settings, f"webhook_{self.name}_secret")
        return [secret.strip() for secret in secrets.get_secret_value().split(",") if secret.strip()]


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
