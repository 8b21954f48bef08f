"""What is remembered of a rule about windows: up to when it was judged, and which alerts are open."""

from __future__ import annotations

import msgspec
from pydantic import ValidationError

from upshot.schemas.alert_rules import AlertRule
from upshot.streams.events.instants import Micros


class JudgedRule(msgspec.Struct, frozen=True):
    """A rule after the instant `judged`. `open` has each open group, or cause, and since when."""

    judged: Micros
    open: list[tuple[list[str], Micros]] = []
    #: The rule's record as it was judged: its alerts are ended by it where the rule is no more.
    record: str = ""
    #: No instant up to this one was judged.
    begun: Micros = 0


#: When a state is due: never, but the table lists by this time every rule that it remembers.
REMEMBERED: Micros = 7_000_000_000_000_000

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(JudgedRule).decode


def key_of(rule: str) -> bytes:
    """The rule's key in the table."""
    return b"rule:" + rule.encode()


def rule_in(key: bytes) -> str:
    """The rule of a key."""
    return key.removeprefix(b"rule:").decode()


def encode_judged(state: JudgedRule) -> bytes:
    """The state as bytes."""
    return _encode(state)


def decode_judged(value: bytes | None) -> JudgedRule | None:
    """The state in these bytes; None for a rule that was never judged."""
    return None if value is None else _decode(value)


def read_judged(state: JudgedRule) -> AlertRule | None:
    """The rule as it was judged; None where the state doesn't have it."""
    try:
        return AlertRule.model_validate_json(state.record)
    except ValidationError:
        return None


__all__ = ["REMEMBERED", "JudgedRule", "decode_judged", "encode_judged", "key_of", "read_judged", "rule_in"]
