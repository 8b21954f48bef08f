"""Named queries: SQL shared by the command line, Python, the web page, the demo and the dashboards.

The queries read the views alone, never storage. `rate_percent` is the share of true among the boolean scores,
`mean` the mean and `total` the sum of the numeric scores; replayed runs count in none. Pending are open waits
and unfinished follow-ups.
"""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from types import MappingProxyType

from upshot.errors import ConfigurationError
from upshot.insights.named_queries.input import INPUT
from upshot.insights.named_queries.query import NamedQuery
from upshot.insights.named_queries.runs import RUNS
from upshot.insights.named_queries.scores import SCORES
from upshot.insights.named_queries.stories import STORIES
from upshot.insights.named_queries.waits import ALL_PENDING, WAITS

#: All named queries by their names.
NAMED_QUERIES: Mapping[str, NamedQuery] = MappingProxyType(
    {query.name: query for query in (*SCORES, *RUNS, *WAITS, *STORIES, *INPUT)}
)


def named_query(name: str) -> NamedQuery:
    """The named query of this name. Raises ConfigurationError that says which there are."""
    if name in NAMED_QUERIES:
        return NAMED_QUERIES[name]
    near = get_close_matches(name, NAMED_QUERIES, n=2)
    hint = f", perhaps {' or '.join(near)}" if near else ""
    raise ConfigurationError(
        f"there is no named query {name!r}{hint}; no query was run: `upshot query --list` lists them: "
        f"{', '.join(NAMED_QUERIES)}"
    )


__all__ = ["ALL_PENDING", "NAMED_QUERIES", "NamedQuery", "named_query"]
