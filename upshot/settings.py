"""All configuration, read once from the environment into a single frozen object and handed down."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError

from upshot.clickhouse_address import ClickHouseAddress, parse_address, shard_urls
from upshot.credentials import read_credentials
from upshot.errors import ConfigurationError
from upshot.local_addresses import LOCAL_USER, LOCAL_VIEWER, local_addresses, local_url


class Settings(BaseModel):
    """Where the parts are and how they behave.

    Every field is read from the environment variable `UPSHOT_<FIELD>` (durations as ISO 8601, such as
    `P30D`, or as seconds).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kafka_url: str = Field("127.0.0.1:9092", description="Kafka bootstrap servers: `host:port[,host:port…]`.")
    clickhouse_url: SecretStr = Field(
        SecretStr("http://app@127.0.0.1:8123/upshot"),
        description=(
            "ClickHouse over HTTP: `http[s]://user:password@host:port/database`. The address and "
            "password of a local stack are known from the data directory."
        ),
    )
    clickhouse_cluster: str = Field(
        "",
        pattern=r"^[\w-]*$",
        description=(
            "Name of a cluster in ClickHouse's `remote_servers`, over whose shards the runs are spread. "
            "Empty: one server, or ClickHouse Cloud. Choose before the first migration."
        ),
    )
    clickhouse_shards: SecretStr = Field(
        SecretStr(""),
        description=(
            "Of a cluster the address of one server of each shard, separated by commas, in the cluster's "
            "order; user, password and database are those of `clickhouse_url` where absent."
        ),
    )
    clickhouse_replicated: bool = Field(
        True,
        description=(
            "Whether the cluster's tables are replicated: `Replicated…` engines, made `ON CLUSTER` (needs "
            "Keeper). False: plain tables, made on each address of `clickhouse_shards`."
        ),
    )
    data_dir: Path = Field(Path(".upshot"), description="Folder of the local stack's data and logs.")
    tables_dir: Path | None = Field(
        None,
        description="Folder of a worker's tables on disk; by default `tables` in the data directory.",
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
        description=(
            "A worker's name in its group, the same after each restart, such as a stateful set's pod "
            "name: a killed worker back within `session_timeout` takes up its partitions at once. Two "
            "workers of a role must not have the same name at a time. `upshot worker` names its children "
            "itself."
        ),
    )
    standby_replicas: int = Field(
        0,
        ge=0,
        le=3,
        description=(
            "How many other workers keep a copy of each partition of the join's state, so that a "
            "takeover reads only the end of the changelog. Costs disk and network, and needs as many "
            "more workers."
        ),
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
        description=(
            "Names of attributes kept from other libraries' spans beside known facts although content is "
            "off, separated by commas; a name ending in `*` is a prefix: `tenant,acme.*`."
        ),
    )
    look_back: timedelta = Field(
        timedelta(days=30),
        description="How long an outcome without a wait is kept for a later wait.",
    )
    settled_retention: timedelta = Field(
        timedelta(days=30),
        description=(
            "How long a decided wait stays revisable after its deadline, and how long a done follow-up "
            "still takes events after its latest deadline."
        ),
    )
    followup_concurrency: int = Field(
        100,
        ge=1,
        le=100_000,
        description=(
            "Executions of follow-ups' code under way in a worker at a time. A higher number helps where "
            "executions are short; a lower number spares the services called by the code."
        ),
    )
    followup_attempts: int = Field(
        5,
        ge=1,
        le=1000,
        description="How often failing code of a follow-up is tried, unless its scorer sets `attempts`.",
    )
    followup_first_pause: timedelta = Field(
        timedelta(seconds=1),
        description="How long after its first failure a follow-up is tried again; doubled each time.",
    )
    followup_longest_pause: timedelta = Field(
        timedelta(minutes=5), description="The longest pause between two tries of a follow-up."
    )
    deadline_grace: timedelta = Field(
        timedelta(seconds=1),
        description="How long after its deadline a wait is evaluated, for outcomes on the way.",
    )
    since_tolerance: timedelta = Field(
        timedelta(milliseconds=500),
        ge=timedelta(0),
        le=timedelta(days=1),
        description=(
            "How long before a wait's `since` outcomes count all the same, for clocks that differ; kept "
            "with each wait without a `tolerance` of its own."
        ),
    )
    spool_dir: Path | None = Field(
        None,
        description=(
            "Folder in which an agent's process spools events until Kafka has them; by default `spool` "
            "in the data directory."
        ),
    )
    spool_bytes: int = Field(
        256 * 1024 * 1024, ge=0, description="Bytes of spooled events of one process at the most."
    )
    on_misuse: Literal["raise", "warn"] = Field(
        "raise",
        description=(
            "The SDK's response to misuse and to events it can't record, such as a score without a "
            "number, or a full spool: `raise`, or `warn` in the log and let the agent go on, for "
            "production."
        ),
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
        description=(
            "Seconds without progress, with records to read, after which `/healthz`, `upshot doctor` and "
            "the alerts report a worker as stalled."
        ),
    )
    commit_interval: float = Field(1.0, gt=0, le=60, description="Seconds between offset commits.")
    store_interval: float = Field(0.25, gt=0, le=60, description="Seconds of events gathered into an insert.")
    metrics_port: int | None = Field(
        None,
        ge=0,
        le=65535,
        description=(
            "Port of a worker's metrics for Prometheus (`/metrics`). A worker of all roles uses a port "
            "for each role, counting up from this port. 0: any free port, named in the log. Not set: no "
            "port."
        ),
    )
    metrics_host: str = Field("127.0.0.1", description="The address `metrics_port` is opened at.")
    retention: timedelta | None = Field(
        None,
        ge=timedelta(days=1),
        description=(
            "How long ClickHouse keeps facts and rows, such as P400D; longer where an open wait needs them. "
            "Absent: for ever. Applied by `upshot migrate` and by every start of a store."
        ),
    )
    topic_retention: timedelta | None = Field(
        None,
        ge=timedelta(days=1),
        description=(
            "How long topics that aren't compacted keep their records; those declared with 30 days keep "
            "30 at the least. Absent: as declared, and existing topics stay unchanged."
        ),
    )
    store_rows: int = Field(50_000, ge=1, description="Rows of an insert at the most.")
    api_keys: SecretStr = Field(
        SecretStr(""),
        description=(
            "Keys, separated by commas, with which programs may send events over HTTP; without keys, "
            "only programs on the same machine may."
        ),
    )
    viewer_keys: SecretStr = Field(
        SecretStr(""),
        description=(
            "Keys, separated by commas, with which people on other machines read the pages; without viewer "
            "and "
            "operator keys, only this machine may, and others see the state of the components alone."
        ),
    )
    operator_keys: SecretStr = Field(
        SecretStr(""),
        description=(
            "Keys, separated by commas, with which people read the pages and change things there, such as "
            "sending a dead letter again."
        ),
    )
    allowed_hosts: str = Field(
        "",
        description=(
            "Names, separated by commas and without ports, by which pages and `/healthz` may be asked "
            "for, besides the names of this machine, the address of the connection and the host of "
            "`public_url`: such as the name of a container. `*`: any name, where a proxy in front checks "
            "the name."
        ),
    )
    otlp_content: bool = Field(
        False,
        description=("Whether prompts and answers of spans from OTLP are kept; both may hold personal data."),
    )
    public_url: str = Field(
        "http://127.0.0.1:8321",
        description="Where people reach the web server; signed links begin with this URL.",
    )
    link_secret: SecretStr = Field(
        SecretStr(""), description="Signs links that record an outcome; at least 32 characters."
    )
    webhook_github_secret: SecretStr = Field(
        SecretStr(""),
        description="Secret of GitHub's webhooks; several, separated by commas, while the secret changes.",
    )
    webhook_stripe_secret: SecretStr = Field(
        SecretStr(""), description="Secret of Stripe's webhooks (`whsec_…`), or several."
    )
    webhook_zendesk_secret: SecretStr = Field(
        SecretStr(""), description="Secret of Zendesk's webhooks, or several."
    )
    allocation_interval: timedelta | None = Field(
        None,
        description=(
            "How often the role `experiments` sets the weights of adaptive experiments, such as P1D. Absent: "
            "no such role."
        ),
    )
    otlp_url: str = Field(
        "",
        description=(
            "An OpenTelemetry collector over HTTP (`http://collector:4318`); each score is exported "
            "there as an event. Empty: no export."
        ),
    )
    otlp_headers: SecretStr = Field(
        SecretStr(""), description="Headers for that collector: `name=value,name=value`, percent-encoded."
    )

    receivers: SecretStr = Field(
        SecretStr(""),
        description=(
            "Receivers of alerts by name, as a JSON object: "
            '`{"ops": {"kind": "slack", "url": "https://…"}}`. Kinds: `webhook`, `slack`, `pagerduty`, '
            "`alertmanager`, `email` (docs/notifications.md)."
        ),
    )
    receivers_file: Path | None = Field(
        None,
        description="A file of further receivers, in JSON or, where its name ends in `.toml`, in TOML.",
    )
    receiver_allow: str = Field(
        "",
        description=(
            "Hosts, hosts with ports and networks, separated by commas, that receivers may be at besides "
            "public addresses over https at port 443: `alertmanager.internal:9093,10.1.0.0/16`."
        ),
    )
    receiver_cafile: Path | None = Field(
        None, description="Certificate authorities of receivers, trusted besides the system's."
    )

    def topic(self, name: str) -> str:
        """The full name of topic `name`."""
        return self.topic_prefix + name

    @property
    def has_receivers(self) -> bool:
        """Whether receivers of alerts are set up."""
        return bool(self.receivers.get_secret_value().strip()) or self.receivers_file is not None

    @property
    def spool(self) -> Path:
        """Where facts wait for Kafka."""
        return self.spool_dir or self.data_dir / "spool"

    @property
    def clickhouse(self) -> ClickHouseAddress:
        """The ClickHouse URL taken apart. Raises ConfigurationError for any other text."""
        return parse_address(self.clickhouse_url.get_secret_value())

    @property
    def shards(self) -> Sequence[Self]:
        """The settings of each shard's own database; without a cluster these settings."""
        if not self.clickhouse_cluster:
            return [self]
        urls = shard_urls(self.clickhouse_url.get_secret_value(), self.clickhouse_shards.get_secret_value())
        return [self.model_copy(update={"clickhouse_url": SecretStr(url)}) for url in urls]

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


def local_viewer(settings: Settings) -> Settings:
    """The same settings for reading alone: a local stack has a user without the right to change anything."""
    url = settings.clickhouse_url.get_secret_value()
    if url != local_addresses(settings.data_dir).get("clickhouse_url"):
        return settings
    credentials = read_credentials(settings.data_dir)
    assert credentials is not None
    viewer = local_url(LOCAL_VIEWER, credentials.viewer, settings.clickhouse.port)
    return settings.model_copy(update={"clickhouse_url": SecretStr(viewer)})


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
