"""Names in the headers Host and Origin, read strictly: anything but a plain host is none."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address

_HOST = re.compile(r"(?:\[([0-9A-Fa-f:.]{2,45})\]|([A-Za-z0-9._-]{1,253}))(?::([0-9]{0,5}))?")
#: Most requests name the same few.
_REMEMBERED = 1024
_ORIGIN = re.compile(r"https?://(.{1,300})", re.IGNORECASE)


@lru_cache(_REMEMBERED)
def host_of(text: str) -> str | None:
    """The name or address in a Host header, in lower case and without its port; None where malformed."""
    found = _HOST.fullmatch(text.strip(" \t"))
    if not found:
        return None
    address, name = found[1], found[2]
    return _plain_address(address) if address else name.lower()


@lru_cache(_REMEMBERED)
def origin_of(text: str) -> str | None:
    """The host of an Origin header; None where malformed, `null`, or no page over HTTP."""
    found = _ORIGIN.fullmatch(text.strip(" \t"))
    return host_of(found[1]) if found else None


def only(values: Sequence[str]) -> str | None:
    """The only value of a header; None where absent or repeated."""
    return values[0] if len(values) == 1 else None


@lru_cache(_REMEMBERED)
def is_loopback(name: str | None) -> bool:
    """Whether a name or address means this machine, on every machine."""
    if name is None or name == "localhost":
        return name is not None
    try:
        return _unmapped(name).is_loopback
    except ValueError:
        return False


def same_address(name: str, address: str | None) -> bool:
    """Whether a host is this very IP address."""
    try:
        return _unmapped(name) == _unmapped((address or "").partition("%")[0])
    except ValueError:
        return False


def _plain_address(text: str) -> str | None:
    try:
        return str(IPv6Address(text))
    except ValueError:
        return None


def _unmapped(text: str) -> IPv4Address | IPv6Address:
    """The address; an IPv4 address written as IPv6 is the IPv4 address. Raises ValueError."""
    address = ip_address(text)
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address


__all__ = ["host_of", "is_loopback", "only", "origin_of", "same_address"]
