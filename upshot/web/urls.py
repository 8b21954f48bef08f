"""Addresses of pages: every part percent-encoded, empty parameters left out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from urllib.parse import quote, urlencode

#: What stands behind the path of a page for its JSON, and how a name's own end of this kind is written.
JSON, _OF_A_NAME = ".json", "%2Ejson"
#: Names that browsers and proxies take for steps in the tree, encoded or not, have this before them in a
#: path; so have names that look as if they had it already.
_MARK, _STEPS = "~", (".", "..")


class Url(str):
    """An address that templates show whole."""

    __slots__ = ()


def url(path: str, *parts: object, query: Mapping[str, object] | None = None, **named: object) -> Url:
    """`url("/runs", run_id, step="s1")`; a list becomes a repeated parameter."""
    whole = "/".join([path.rstrip("/") or "", *(segment(part) for part in parts)]) or "/"
    pairs = list(_pairs({**(query or {}), **named}))
    return Url(f"{whole}?{urlencode(pairs, errors='replace')}" if pairs else whole)


def segment(part: object) -> str:
    """A name as one part of a path; `name_of` reads it."""
    name = str(part)
    text = quote(_MARK + name if name.lstrip(_MARK) in _STEPS else name, safe="", errors="replace")
    return f"{text.removesuffix(JSON)}{_OF_A_NAME}" if text.endswith(JSON) else text


def name_of(part: str) -> str:
    """The name that a decoded part of a path stands for."""
    return part.removeprefix(_MARK) if part.lstrip(_MARK) in _STEPS else part


def means_json(raw_path: str) -> bool:
    """Whether a path as it was sent means a page's JSON: a name that ends so is written otherwise."""
    return raw_path.endswith(JSON)


def _pairs(query: Mapping[str, object]) -> Iterable[tuple[str, str]]:
    for name, value in query.items():
        for each in value if isinstance(value, list | tuple) else [value]:
            if each is not None and each != "" and each is not False:
                yield name, "1" if each is True else str(each)


__all__ = ["JSON", "Url", "means_json", "name_of", "segment", "url"]
