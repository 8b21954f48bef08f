"""How every Kafka client of ours reaches the broker."""

from __future__ import annotations

import ssl
from typing import Any

from upshot.settings import Settings


def client_options(settings: Settings) -> dict[str, Any]:
    """The options that aiokafka's producer, consumer and admin client share: addresses and security."""
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


__all__ = ["client_options"]
