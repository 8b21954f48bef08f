"""The settings of each kind of receiver, as they are written in `UPSHOT_RECEIVERS`."""

from __future__ import annotations

import re
from base64 import b64decode
from binascii import Error
from hashlib import blake2b
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr
from pydantic_core import PydanticCustomError

_SECRET = re.compile(r"whsec_[A-Za-z0-9+/]+={0,2}", re.ASCII)
_ROUTING_KEY = re.compile(r"[A-Za-z0-9]{32}", re.ASCII)
_MAIL_ADDRESS = re.compile(r"[^@\s<>,;\"]{1,64}@[^@\s<>,;\"]{1,255}", re.ASCII)
#: Bytes of a secret, as Standard Webhooks has it.
_SHORTEST_SECRET, _LONGEST_SECRET = 24, 64

PAGERDUTY_URL = "https://events.pagerduty.com/v2/enqueue"


def _webhook_secret(secret: SecretStr) -> SecretStr:
    text = secret.get_secret_value()
    try:
        size = len(b64decode(text.removeprefix("whsec_"), validate=True)) if _SECRET.fullmatch(text) else 0
    except (Error, ValueError):
        size = 0
    if not _SHORTEST_SECRET <= size <= _LONGEST_SECRET:
        raise PydanticCustomError(
            "bad_secret",
            "is no secret of Standard Webhooks: write whsec_ and 24 to 64 random bytes in base64, such as "
            "made by  echo whsec_$(head -c 32 /dev/urandom | base64)",
        )
    return secret


def _routing_key(secret: SecretStr) -> SecretStr:
    if not _ROUTING_KEY.fullmatch(secret.get_secret_value()):
        raise PydanticCustomError(
            "bad_routing_key",
            "is no integration key of PagerDuty's Events API v2: 32 letters and digits, from the service's "
            "integrations",
        )
    return secret


def _mail_address(text: str) -> str:
    if not _MAIL_ADDRESS.fullmatch(text):
        raise PydanticCustomError("bad_address", "is no plain e-mail address, such as ops@acme.com")
    return text


def _one_or_several(value: object) -> object:
    return [value] if isinstance(value, str) else value


WebhookSecret = Annotated[SecretStr, AfterValidator(_webhook_secret)]
RoutingKey = Annotated[SecretStr, AfterValidator(_routing_key)]
MailAddress = Annotated[str, AfterValidator(_mail_address)]


class ReceiverSettings(BaseModel):
    """The settings shared by all kinds."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    most_per_hour: Annotated[int, Field(ge=1, le=1_000_000)] = 600
    concurrency: Annotated[int, Field(ge=1, le=64)] = 16

    @property
    def address(self) -> str:
        """Where messages go: part of what tells whether the settings have changed; never shown."""
        raise NotImplementedError

    @property
    def fingerprint(self) -> str:
        """Tells these settings from others, and says nothing of them."""
        return blake2b(self.address.encode("utf-8", "replace"), digest_size=8).hexdigest()

    @property
    def groups_itself(self) -> bool:
        """Whether the receiver gathers alerts by itself, so that every alert goes there at once."""
        return False


class HttpReceiverSettings(ReceiverSettings):
    """A receiver called over HTTP."""

    url: SecretStr

    @property
    def address(self) -> str:
        return self.url.get_secret_value()


class WebhookSettings(HttpReceiverSettings):
    """Any server: Standard Webhooks. Each of several secrets signs, while one replaces another."""

    kind: Literal["webhook"]
    secret: Annotated[
        list[WebhookSecret], BeforeValidator(_one_or_several), Field(min_length=1, max_length=5)
    ]


class SlackSettings(HttpReceiverSettings):
    """An incoming webhook of Slack."""

    kind: Literal["slack"]


class PagerDutySettings(HttpReceiverSettings):
    """A service of PagerDuty, by the Events API v2."""

    kind: Literal["pagerduty"]
    routing_key: RoutingKey
    url: SecretStr = SecretStr(PAGERDUTY_URL)

    @property
    def address(self) -> str:
        return f"{self.url.get_secret_value()} {self.routing_key.get_secret_value()}"


class AlertmanagerSettings(HttpReceiverSettings):
    """An Alertmanager of Prometheus, by its address without a path of the API."""

    kind: Literal["alertmanager"]
    token: SecretStr | None = None
    #: Days after which Alertmanager takes a firing alert for resolved, without a word of Upshot.
    ends_after_days: Annotated[float, Field(gt=0, le=3660)] = 30.0

    @property
    def groups_itself(self) -> bool:
        return True


class EmailSettings(ReceiverSettings):
    """Mail over SMTP."""

    kind: Literal["email"]
    host: Annotated[str, Field(min_length=1, max_length=255)]
    port: Annotated[int, Field(ge=1, le=65535)] = 587
    tls: Literal["starttls", "tls", "none"] = "starttls"
    username: str = ""
    password: SecretStr = SecretStr("")
    sender: MailAddress
    to: Annotated[list[MailAddress], BeforeValidator(_one_or_several), Field(min_length=1, max_length=50)]
    concurrency: Annotated[int, Field(ge=1, le=8)] = 2

    @property
    def address(self) -> str:
        return f"{self.host}:{self.port} {' '.join(self.to)}"


AnyReceiver = Annotated[
    WebhookSettings | SlackSettings | PagerDutySettings | AlertmanagerSettings | EmailSettings,
    Field(discriminator="kind"),
]

__all__ = [
    "PAGERDUTY_URL",
    "AlertmanagerSettings",
    "AnyReceiver",
    "EmailSettings",
    "HttpReceiverSettings",
    "PagerDutySettings",
    "ReceiverSettings",
    "SlackSettings",
    "WebhookSettings",
]
