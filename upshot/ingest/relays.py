"""Headers by which a proxy, a gateway or a content network marks a request passed on for another sender."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

#: Words of a name, between hyphens. A direct client has no reason for any of them.
_WORDS = frozenset(
    (
        "via",
        "forward",
        "forwarded",
        "forwarder",
        "proxy",
        "proxied",
        "gateway",
        "envoy",
        "istio",
        "cdn",
        "cloudfront",
        "varnish",
        "squid",
        "haproxy",
        "nginx",
        "traefik",
        "ngrok",
        "ip",
    )
)
#: Ends of names for the address of another client, or for the name of another server.
_ENDS = (
    "clientip",
    "realip",
    "remoteip",
    "userip",
    "-addr",
    "-address",
    "-client-cert",
    "original-host",
    "original-url",
    "original-uri",
    "original-proto",
    "rewrite-url",
    "front-end-https",
)
#: What the networks and platforms put in front of their own headers.
_VENDORS = re.compile(
    r"cf-|cdn-|fly-|fastly-|akamai-|x-akamai-|x-azure-|x-appengine-|x-amz-cf-|x-arr-|x-vercel-|x-nf-|x-railway-|"
    r"x-render-|x-heroku-|x-envoy-|x-kong-|x-sucuri-|x-edge-|x-original-|x-forward|x-fb-|"
    r"true-client|incap-|tailscale-|x-coming-from$|x-ms-proxy|x-host$|x-scheme$|x-url-scheme$|x-ssl|ssl-client|max-forwards$"
)
#: Attributes of a CloudEvent: about the event, whatever they are called.
_ABOUT_EVENT = "ce-"


def relayed_by(names: Iterable[str]) -> str | None:
    """The first such header; None where there is none."""
    return next((name for name in names if _tells(name)), None)


@lru_cache(1024)
def _tells(name: str) -> bool:
    name = name.lower().replace("_", "-")
    if name.startswith(_ABOUT_EVENT):
        return False
    return not _WORDS.isdisjoint(name.split("-")) or name.endswith(_ENDS) or bool(_VENDORS.match(name))


__all__ = ["relayed_by"]
