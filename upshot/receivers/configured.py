"""The receivers of the settings, read and checked once at the start."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from upshot.errors import ConfigurationError
from upshot.receivers.addresses import AllowedHosts, allowed_hosts, refused_url
from upshot.receivers.kinds import AnyReceiver, HttpReceiverSettings, ReceiverSettings
from upshot.settings import Settings

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}", re.ASCII)
_EXAMPLE = '{"ops": {"kind": "slack", "url": "https://hooks.slack.com/services/…"}}'
_ADAPTER: TypeAdapter[ReceiverSettings] = TypeAdapter(AnyReceiver)


@dataclass(frozen=True)
class Receivers:
    """The receivers by name, and the hosts that may be called."""

    by_name: Mapping[str, ReceiverSettings]
    allowed: AllowedHosts
    cafile: Path | None = None

    def __contains__(self, name: str) -> bool:
        return name in self.by_name

    def named(self, name: str) -> ReceiverSettings:
        """The receiver. Raises ConfigurationError for an unknown name."""
        if name not in self.by_name:
            raise ConfigurationError(no_receiver(name, self.by_name))
        return self.by_name[name]


def no_receiver(name: str, known: Mapping[str, object]) -> str:
    """A sentence on a name that no receiver has."""
    there = f"there are {', '.join(sorted(known))}" if known else "there are none"
    return f"no receiver is called {name!r}: {there}; set UPSHOT_RECEIVERS and start the worker again"


def read_receivers(settings: Settings) -> Receivers:
    """All receivers of the settings. Raises ConfigurationError naming each wrong one, and no secret."""
    declared = {**_from_file(settings.receivers_file), **_from_variable(settings)}
    allowed = allowed_hosts(settings.receiver_allow)
    if settings.receiver_cafile is not None and not settings.receiver_cafile.is_file():
        raise ConfigurationError(f"UPSHOT_RECEIVER_CAFILE: {settings.receiver_cafile} is no file")
    found: dict[str, ReceiverSettings] = {}
    wrong: list[str] = []
    for name, declaration in declared.items():
        try:
            found[name] = _receiver(name, declaration, allowed)
        except ValueError as error:
            wrong.append(str(error))
    if wrong:
        lines = "\n  ".join(wrong)
        raise ConfigurationError(f"these receivers are wrong, correct them and start again:\n  {lines}")
    return Receivers(found, allowed, settings.receiver_cafile)


def _receiver(name: str, declaration: Any, allowed: AllowedHosts) -> ReceiverSettings:
    """Raises ValueError with the sentences."""
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r}: a receiver's name has letters, digits, dots, dashes, at most 63")
    try:
        receiver = _ADAPTER.validate_python(declaration)
    except ValidationError as error:
        wrong = (_sentence(name, one) for one in error.errors(include_input=False, include_url=False))
        raise ValueError("\n  ".join(wrong)) from None
    url = receiver.url.get_secret_value() if isinstance(receiver, HttpReceiverSettings) else None
    if url is not None and (why := refused_url(url, allowed)):
        raise ValueError(f"{name}: its url {why}")
    return receiver


def _sentence(name: str, error: Any) -> str:
    place = ".".join(part for part in error["loc"][1:] if isinstance(part, str))
    if error["type"] == "union_tag_not_found":
        return f"{name}: has no kind: write webhook, slack, pagerduty, alertmanager or email"
    if error["type"] == "union_tag_invalid":
        return f"{name}: is of an unknown kind: write webhook, slack, pagerduty, alertmanager or email"
    if error["type"] in ("model_attributes_type", "dict_type"):
        return f"{name}: is no object: write {_EXAMPLE}"
    texts = {"missing": "is missing", "extra_forbidden": "is no setting of this kind"}
    return f"{name}: {place} {texts.get(error['type'], error['msg'])}"


def _from_variable(settings: Settings) -> dict[str, Any]:
    text = settings.receivers.get_secret_value().strip()
    if not text:
        return {}
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    return _object(found, "UPSHOT_RECEIVERS is no JSON object of receivers by name")


def _from_file(file: Path | None) -> dict[str, Any]:
    if file is None:
        return {}
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"UPSHOT_RECEIVERS_FILE: {file} can't be read: {error}") from None
    try:
        found = tomllib.loads(text) if file.suffix == ".toml" else json.loads(text)
    except ValueError:
        found = None
    return _object(found, f"UPSHOT_RECEIVERS_FILE: {file} is neither JSON nor, by its name, TOML")


def _object(found: Any, otherwise: str) -> dict[str, Any]:
    if not isinstance(found, dict):
        raise ConfigurationError(f"{otherwise}; nothing was started: write {_EXAMPLE}")
    return found


__all__ = ["Receivers", "no_receiver", "read_receivers"]
