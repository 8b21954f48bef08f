"""How every Kafka client of ours reaches the broker."""

from __future__ import annotations

import ssl
from typing import Any, Protocol

from aiokafka.errors import KafkaError

from upshot.errors import KafkaUnavailable
from upshot.settings import Settings


def client_options(settings: Settings) -> dict[str, Any]:
    """The options shared by aiokafka's producer, consumer and admin client: addresses and security."""
    options: dict[str, Any] = {
        "bootstrap_servers": settings.kafka_url.removeprefix("kafka://"),
        "security_protocol": settings.kafka_security,
    }
    if settings.kafka_security.endswith("SSL"):
        cafile = str(settings.kafka_ssl_cafile) if settings.kafka_ssl_cafile else None
        options["ssl_context"] = ssl.create_default_context(cafile=cafile)
    if settings.kafka_security.startswith("SASL"):
        options["sasl_mechanism"] = settings.kafka_sasl_mechanism
        options["sasl_plain_username"] = settings.kafka_username
        options["sasl_plain_password"] = settings.kafka_password.get_secret_value()
    return options


class Client(Protocol):
    """aiokafka's producer, consumer or admin client."""

    async def start(self) -> None: ...


async def start(settings: Settings, client: Client) -> None:
    """Start a client made with `client_options`. Raises KafkaUnavailable where no broker answers."""
    try:
        await client.start()
    except KafkaError as error:
        raise KafkaUnavailable(f"no Kafka broker answers at {settings.kafka_url}: {error}") from None


__all__ = ["Client", "client_options", "start"]
