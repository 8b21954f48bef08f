"""Addresses of pages: every part percent-encoded, empty parameters left out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from urllib.parse import quote, urlencode

#: What stands behind the path of a page for its JSON, and how a name's own end of this kind is written.
JSON, _OF_A_NAME = ".json", "%2Ejson"


class Url(str):
    """An address that templates show whole."""

    __slots__ = ()


def url(path: str, *parts: object, query: Mapping[str, object] | None = None, **named: object) -> Url:
    """`url("/runs", run_id, step="s1")`; a list becomes a repeated parameter."""
    whole = "/".join([path.rstrip("/") or "", *(segment(part) for part in parts)]) or "/"
    pairs = list(_pairs({**(query or {}), **named}))
    return Url(f"{whole}?{urlencode(pairs, errors='replace')}" if pairs else whole)


def segment(part: object) -> str:
    """One part of a path; browsers would take a lone dot or two for a step in the tree."""
    text = quote(str(part), safe="", errors="replace")
    if not text.strip("."):
        return text.replace(".", "%2E")
    return f"{text.removesuffix(JSON)}{_OF_A_NAME}" if text.endswith(JSON) else text


def means_json(raw_path: str) -> bool:
    """Whether a path as it was sent means a page's JSON: a name that ends so is written otherwise."""
    return raw_path.endswith(JSON)


def _pairs(query: Mapping[str, object]) -> Iterable[tuple[str, str]]:
    for name, value in query.items():
        for each in value if isinstance(value, list | tuple) else [value]:
            if each is not None and each != "" and each is not False:
                yield name, "1" if each is True else str(each)


__all__ = ["JSON", "Url", "means_json", "segment", "url"]
