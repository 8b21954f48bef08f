"""Which addresses a receiver may have: public ones over https, and those that the settings allow by name.

Pure: nothing is resolved here. A literal is checked in all its spellings before any call; names are checked
by `resolver` once resolved, with the same rules, on the addresses that are then connected to.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from urllib.parse import urlsplit

from upshot.errors import ConfigurationError

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

#: Ranges that `is_global` calls public although they lead into a network of our own, or to nobody.
_NOT_PUBLIC = tuple(
    map(
        ip_network,
        (
            "64:ff9b::/96",  # NAT64: an IPv4 address behind it
            "64:ff9b:1::/48",  # local NAT64
            "2002::/16",  # 6to4: the same
            "2001::/32",  # Teredo: the same
            "::ffff:0:0:0/96",  # translated IPv4
            "::/96",  # IPv4-compatible
            "fec0::/10",  # site-local
            "192.0.0.0/24",  # services of the network itself
            "192.88.99.0/24",  # relays of 6to4
            "100.64.0.0/10",  # shared by carriers, and by metadata services of clouds
        ),
    )
)
_FULL_STOPS = dict.fromkeys((0x3002, 0xFF0E, 0xFF61), ".")
_MOST_OCTETS = 4


@dataclass(frozen=True)
class AllowedHosts:
    """Hosts and networks that receivers may have beside public addresses."""

    hosts: frozenset[str] = frozenset()
    networks: tuple[Network, ...] = ()

    def allows_host(self, host: str, port: int) -> bool:
        """Whether a host is allowed by its name, at any port or at this one."""
        return bool(self.hosts & {host, f"{host}:{port}"})

    def allows(self, address: Address) -> bool:
        """Whether an address lies in an allowed network."""
        plain = _mapped(address)
        return any(address in network or plain in network for network in self.networks)


def allowed_hosts(setting: str) -> AllowedHosts:
    """The hosts and networks of `UPSHOT_RECEIVER_ALLOW`. Raises ConfigurationError for a wrong one."""
    hosts, networks = set(), []
    for entry in filter(None, (part.strip() for part in setting.split(","))):
        try:
            networks.append(ip_network(entry.replace("[", "").replace("]", ""), strict=False))
            continue
        except ValueError:
            pass
        if "/" in entry or any(c.isspace() for c in entry):
            raise ConfigurationError(
                f"UPSHOT_RECEIVER_ALLOW: {entry!r} is neither a host nor a network; nothing was started: "
                "write hosts, hosts with ports and networks such as  alerts.internal:9093,10.1.0.0/16"
            )
        hosts.add(entry.lower().rstrip("."))
    return AllowedHosts(frozenset(hosts), tuple(networks))


def refused_address(address: Address, allowed: AllowedHosts) -> str | None:
    """Why an address must not be called; None where it may."""
    if allowed.allows(address):
        return None
    plain = _mapped(address)
    odd = plain.is_multicast or plain.is_reserved or any(plain in network for network in _NOT_PUBLIC)
    if plain.is_global and not odd:
        return None
    return f"{address} is no public address"


@lru_cache(maxsize=1_000)
def refused_url(url: str, allowed: AllowedHosts) -> str | None:
    """Why a URL must not be called, as far as known without resolving its name; None where it may."""
    try:
        parts = urlsplit(url)
        port = parts.port or {"https": 443, "http": 80}.get(parts.scheme, 0)
    except ValueError:
        return "is no URL"
    host = plain_host(parts.hostname or "")
    if any(not c.isprintable() or c in " \\" for c in url) or ("%" in host and ":" not in host):
        return "has characters that programs read in different ways"
    if parts.scheme not in ("https", "http") or not host:
        return "is no URL over https: write https://host/path"
    if parts.username or parts.password:
        return (
            "has a user or a password before its host, which would be logged: use the receiver's own fields"
        )
    if allowed.allows_host(host, port):
        return None
    literal = literal_address(host)
    if literal is not None:
        if allowed.allows(literal):
            return None
        if why := refused_address(literal, allowed):
            return f"{why}; put it into UPSHOT_RECEIVER_ALLOW if it is yours"
    if parts.scheme != "https" or port != 443:
        return f"isn't https at port 443; put {host}:{port} into UPSHOT_RECEIVER_ALLOW if it is yours"
    return None


def plain_host(host: str) -> str:
    """A host's name in its plain spelling: lower case, without a final dot, in ordinary characters."""
    return unicodedata.normalize("NFKC", host.translate(_FULL_STOPS)).lower().rstrip(".")


def literal_address(host: str) -> Address | None:
    """The address that a host spells, in any form that a system's resolver reads; None for a name."""
    text = plain_host(host).strip("[]").partition("%")[0]
    try:
        return ip_address(text)
    except ValueError:
        return _old_spelling(text)


def _old_spelling(text: str) -> IPv4Address | None:
    """Decimal, octal and hexadecimal numbers, one to four: `2130706433`, `0x7f.1`, `0177.0.0.1`."""
    parts = text.split(".")
    if not 1 <= len(parts) <= _MOST_OCTETS:
        return None
    try:
        numbers = [_number(part) for part in parts]
    except ValueError:
        return None
    *leading, last = numbers
    if any(number > 255 for number in leading) or last >= 256 ** (_MOST_OCTETS + 1 - len(parts)):
        return None
    value = last
    for place, number in enumerate(leading):
        value += number << (8 * (3 - place))
    return IPv4Address(value)


def _number(part: str) -> int:
    if not part or not part.isascii() or not part.isalnum():
        raise ValueError
    if part.startswith("0x"):
        return int(part[2:] or "0", 16)
    return int(part, 8) if part.startswith("0") and part != "0" else int(part)


def _mapped(address: Address) -> Address:
    """The IPv4 address of an IPv4-mapped one."""
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address


__all__ = [
    "Address",
    "AllowedHosts",
    "allowed_hosts",
    "literal_address",
    "plain_host",
    "refused_address",
    "refused_url",
]
