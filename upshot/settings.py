"""All configuration, read once from the environment into a single frozen object and handed down."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal, NamedTuple
from urllib.parse import parse_qsl, unquote, urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError

from upshot.credentials import read_credentials
from upshot.errors import ConfigurationError

LOCAL_USER = "app"
LOCAL_VIEWER = "viewer"


class ClickHouseAddress(NamedTuple):
    """Where ClickHouse is; `options` are settings of the connection, from the URL's query."""

    host: str
    port: int
    secure: bool
    user: str
    password: str
    database: str
    options: Mapping[str, str]


class Settings(BaseModel):
    """Where the parts are and how they behave.

    Every field is read from the environment variable `UPSHOT_<FIELD>` (durations as ISO 8601, such as
    `P30D`, or as seconds).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kafka_url: str = Field("127.0.0.1:9092", description="Kafka bootstrap servers: `host:port[,host:port…]`.")
    clickhouse_url: SecretStr = Field(
        SecretStr("http://app@127.0.0.1:8123/upshot"),
        description="ClickHouse over HTTP: `http[s]://user:password@host:port/database`. That of a local "
        "stack, with its password, is known from the data directory.",
    )
    data_dir: Path = Field(Path(".upshot"), description="Where the local stack keeps its data and logs.")
    tables_dir: Path | None = Field(
        None,
        description="Where a worker keeps its tables on disk; by default `tables` in the data directory.",
    )
    topic_prefix: str = Field("upshot.", description="Put before the name of every topic.")
    partitions: int = Field(4, ge=1, le=1024, description="Partitions of a newly created topic.")
    replication_factor: int = Field(1, ge=1, le=9, description="Replicas of a newly created topic.")
    kafka_security: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        "PLAINTEXT", description="Kafka's security protocol."
    )
    kafka_sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = Field(
        "PLAIN", description="SASL mechanism, where the protocol has SASL."
    )
    kafka_username: str = Field("", description="SASL user.")
    kafka_password: SecretStr = Field(SecretStr(""), description="SASL password.")
    kafka_ssl_cafile: Path | None = Field(None, description="Certificate authority file for TLS.")
    worker_id: str = Field(
        "",
        description="A worker's name in its group that stays the same when it is started again, such as a "
        "stateful set's pod name: one that was killed and is back within `session_timeout` takes up its "
        "partitions at once. No two workers of a role at a time may have the same. `upshot worker` names its "
        "children itself.",
    )
    standby_replicas: int = Field(
        0,
        ge=0,
        le=3,
        description="How many other workers follow each partition of the join's state, so that one of them "
        "takes it over by reading only the end of its changelog. Costs disk and network, and needs as many "
        "more workers.",
    )
    session_timeout: float = Field(
        6.0,
        ge=1,
        le=300,
        description="Seconds of silence after which the group gives a worker's partitions to others. Brokers "
        "refuse less than their `group.min.session.timeout.ms`, 6 s by default.",
    )
    span_attributes: str = Field(
        "",
        description="Names of attributes of other people's spans that are kept beside known facts although "
        "content is off, separated by commas; one that ends in `*` is the beginning of "
        "many: `tenant,acme.*`.",
    )
    look_back: timedelta = Field(
        timedelta(days=30),
        description="How long an outcome that nobody waits for yet is kept for a later wait.",
    )
    settled_retention: timedelta = Field(
        timedelta(days=30),
        description="How long a decided wait stays revisable after its deadline; and how long a follow-up "
        "that is done listens on after the latest of its own.",
    )
    followup_concurrency: int = Field(
        100,
        ge=1,
        le=100_000,
        description="Executions of follow-ups' code that one worker has under way at a time. More go through "
        "where they are short; fewer spare what their code calls.",
    )
    followup_attempts: int = Field(
        5,
        ge=1,
        le=1000,
        description="How often a follow-up's code is tried that fails, unless it says so itself.",
    )
    followup_first_pause: timedelta = Field(
        timedelta(seconds=1),
        description="How long after its first failure a follow-up is tried again; doubled each time.",
    )
    followup_longest_pause: timedelta = Field(
        timedelta(minutes=5), description="The longest pause between two such tries."
    )
    deadline_grace: timedelta = Field(
        timedelta(seconds=1),
        description="How long after its deadline a wait is judged, for outcomes on the way.",
    )
    since_tolerance: timedelta = Field(
        timedelta(milliseconds=500),
        ge=timedelta(0),
        le=timedelta(days=1),
        description="How long before a wait's `since` outcomes count all the same, for clocks that differ; "
        "kept with each wait that comes without a `tolerance` of its own.",
    )
    spool_dir: Path | None = Field(
        None,
        description="Where an agent's process keeps facts that Kafka hasn't taken yet; `spool` in the data "
        "directory where absent.",
    )
    spool_bytes: int = Field(
        256 * 1024 * 1024, ge=0, description="Bytes of such facts that one process keeps at the most."
    )
    on_misuse: Literal["raise", "warn"] = Field(
        "raise",
        description="What the SDK does with what it can't record, such as a score that is no number, or a "
        "full spool: `raise`, or `warn` in the log and let the agent go on, which is for production.",
    )
    variants: str = Field(
        "",
        description="Variants that experiments give, for trying one: `reply-tone=warm,greeting=short`. "
        "Exposures are of strategy `forced`, which results leave out.",
    )
    stalled_after: float = Field(
        30.0,
        ge=5,
        le=3600,
        description="Seconds without progress, with records to read, after which `/healthz`, `upshot doctor` "
        "and the alerts say that a worker stands still.",
    )
    commit_interval: float = Field(1.0, gt=0, le=60, description="Seconds between offset commits.")
    store_interval: float = Field(0.25, gt=0, le=60, description="Seconds of events that one insert gathers.")
    metrics_port: int | None = Field(
        None,
        ge=0,
        le=65535,
        description="Port at which Prometheus can read a worker's metrics (`/metrics`). A worker of all "
        "roles uses one for each, from this one on. 0: any free one, named in the log. Not set: none.",
    )
    metrics_host: str = Field("127.0.0.1", description="The address that `metrics_port` is opened at.")
    store_rows: int = Field(50_000, ge=1, description="Rows that one insert gathers at the most.")
    api_keys: SecretStr = Field(
        SecretStr(""),
        description="Keys, separated by commas, with which programs may send events over HTTP; without any, "
        "only programs on the same machine may.",
    )
    allowed_hosts: str = Field(
        "",
        description="Names, separated by commas and without ports, by which pages and `/healthz` may be "
        "asked for, besides those of this machine, the address of the connection and the host of "
        "`public_url`: such as the name of a container. `*`: any, where whoever stands in front checks it.",
    )
    otlp_content: bool = Field(
        False,
        description=(
            "Whether prompts and answers of spans that come over OTLP are kept; they may hold personal data."
        ),
    )
    public_url: str = Field(
        "http://127.0.0.1:8321", description="Where people reach the web server; signed links begin with it."
    )
    link_secret: SecretStr = Field(
        SecretStr(""), description="Signs links that record an outcome; at least 32 characters."
    )
    webhook_github_secret: SecretStr = Field(
        SecretStr(""),
        description="Secret of GitHub's webhooks; several, separated by commas, while one changes.",
    )
    webhook_stripe_secret: SecretStr = Field(
        SecretStr(""), description="Secret of Stripe's webhooks (`whsec_…`), or several."
    )
    webhook_zendesk_secret: SecretStr = Field(
        SecretStr(""), description="Secret of Zendesk's webhooks, or several."
    )
    otlp_url: str = Field(
        "",
        description="An OpenTelemetry collector over HTTP (`http://collector:4318`) that is told each score "
        "as an event; empty: none.",
    )
    otlp_headers: SecretStr = Field(
        SecretStr(""), description="Headers for that collector: `name=value,name=value`, percent-encoded."
    )

    def topic(self, name: str) -> str:
        """The full name of topic `name`."""
        return self.topic_prefix + name

    @property
    def spool(self) -> Path:
        """Where facts wait for Kafka."""
        return self.spool_dir or self.data_dir / "spool"

    @property
    def clickhouse(self) -> ClickHouseAddress:
        """The ClickHouse URL taken apart. Raises ConfigurationError for any other text."""
        url = urlsplit(self.clickhouse_url.get_secret_value())
        try:
            port = url.port
        except ValueError:
            port = -1
        if url.scheme not in ("http", "https") or not url.hostname or port == -1:
            raise ConfigurationError(
                "UPSHOT_CLICKHOUSE_URL is no address over HTTP: write http[s]://user:password@host:port/database"
            )
        secure = url.scheme == "https"
        return ClickHouseAddress(
            host=url.hostname,
            port=port or (8443 if secure else 8123),
            secure=secure,
            user=unquote(url.username or "default"),
            password=unquote(url.password or ""),
            database=unquote(url.path.strip("/")) or "upshot",
            options=dict(parse_qsl(url.query)),
        )

    @property
    def tables(self) -> Path:
        """The folder of the tables on disk."""
        return self.tables_dir or self.data_dir / "tables"

    def app_id(self, role: str) -> str:
        """The Faust app and consumer group of a worker's role; changelogs are named after it."""
        return f"{self.topic_prefix.rstrip('.-_') or 'upshot'}-{role}"


def load_settings(environ: Mapping[str, str] | None = None, *, data_dir: Path | None = None) -> Settings:
    """Read the settings; a stack running in `data_dir` gives the unset addresses.

    Precedence: an explicit `data_dir` with a running stack, then `UPSHOT_*`, then the stack in the default
    data directory, then the defaults. Raises ConfigurationError naming each wrong variable.
    """
    environ = os.environ if environ is None else environ
    values: dict[str, Any] = {
        name: environ[variable]
        for name in Settings.model_fields
        if (variable := "UPSHOT_" + name.upper()) in environ
    }
    if data_dir is not None:
        values["data_dir"] = data_dir
    addresses = local_addresses(Path(values.get("data_dir", Settings.model_fields["data_dir"].default)))
    values = values | addresses if data_dir is not None else addresses | values
    try:
        return Settings(**values)
    except ValidationError as error:
        lines = [f"UPSHOT_{str(e['loc'][0]).upper()}: {e['msg']}" for e in error.errors()]
        raise ConfigurationError(
            "these settings are wrong, correct them and start again:\n  " + "\n  ".join(lines)
        ) from None


def local_addresses(data_dir: Path) -> dict[str, str]:
    """The Kafka and ClickHouse addresses of the stack running in `data_dir`, or nothing.

    Nothing also where this user may not read the addresses. Raises ConfigurationError for damaged passwords.
    """
    try:
        ports = json.loads((data_dir / "ports.json").read_text())
    except (FileNotFoundError, NotADirectoryError, PermissionError, json.JSONDecodeError):
        return {}
    # A component left to another machine has no port.
    found = {"kafka_url": f"127.0.0.1:{ports['kafka']}"} if ports.get("kafka") else {}
    if ports.get("clickhouse") and (credentials := read_credentials(data_dir)):
        found["clickhouse_url"] = local_url(LOCAL_USER, credentials.app, ports["clickhouse"])
    return found


def local_viewer(settings: Settings) -> Settings:
    """The same settings for reading alone: a local stack has a user without the right to change anything."""
    url = settings.clickhouse_url.get_secret_value()
    if url != local_addresses(settings.data_dir).get("clickhouse_url"):
        return settings
    credentials = read_credentials(settings.data_dir)
    assert credentials is not None
    viewer = local_url(LOCAL_VIEWER, credentials.viewer, settings.clickhouse.port)
    return settings.model_copy(update={"clickhouse_url": SecretStr(viewer)})


def local_url(user: str, password: str, port: int) -> str:
    """The address of a local stack's ClickHouse for one of its users."""
    return f"http://{user}:{password}@127.0.0.1:{port}/upshot"


__all__ = [
    "LOCAL_USER",
    "LOCAL_VIEWER",
    "ClickHouseAddress",
    "Settings",
    "load_settings",
    "local_addresses",
    "local_url",
    "local_viewer",
]
