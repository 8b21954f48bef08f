"""How every Kafka client of ours reaches the broker."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
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


#: aiokafka's producer, consumer or admin client.
Client = TypeVar("Client", AIOKafkaConsumer, AIOKafkaProducer, AIOKafkaAdminClient)


async def start(settings: Settings, client: Client) -> None:
    """Start a client made with `client_options`. Raises KafkaUnavailable where no broker answers."""
    try:
        await client.start()
    except KafkaError as error:
        raise KafkaUnavailable(f"no Kafka broker answers at {settings.kafka_url}: {error}") from None


@asynccontextmanager
async def started(settings: Settings, client: Client) -> AsyncIterator[Client]:
    """A client for the length of a `with`; closed also where its start fails, or is given up.

    Raises KafkaUnavailable where no broker answers.
    """
    try:
        await start(settings, client)
        yield client
    finally:
        await (client.close() if isinstance(client, AIOKafkaAdminClient) else client.stop())


__all__ = ["client_options", "start", "started"]
