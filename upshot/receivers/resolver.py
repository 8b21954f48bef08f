"""Resolves names for calls to receivers, and refuses addresses that are not public.

The connection goes to an address returned here, so a name that resolves differently a moment later gains
nothing.
"""

from __future__ import annotations

import socket
from ipaddress import ip_address

from aiohttp import ThreadedResolver
from aiohttp.abc import AbstractResolver, ResolveResult

from upshot.receivers.addresses import AllowedHosts, plain_host, refused_address


class RefusedAddress(OSError):
    """A name leads to an address that must not be called; nothing was sent."""


class GuardedResolver(AbstractResolver):
    """Refuses a name if any of its addresses is not public and not allowed."""

    def __init__(self, allowed: AllowedHosts, inner: AbstractResolver | None = None) -> None:
        self._allowed = allowed
        self._inner = inner or ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """The addresses of a name. Raises RefusedAddress."""
        found = await self._inner.resolve(host, port, family)
        if not self._allowed.allows_host(plain_host(host), port):
            for entry in found:
                if why := refused_address(ip_address(entry["host"].partition("%")[0]), self._allowed):
                    raise RefusedAddress(f"{host} leads to {why}")
        return found

    async def close(self) -> None:
        """Close the resolver behind this one."""
        await self._inner.close()


__all__ = ["GuardedResolver", "RefusedAddress"]
