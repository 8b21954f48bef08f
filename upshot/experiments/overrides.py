"""Overrides for tests and for trying a variant: `reply-tone=warm,greeting=short`."""

from __future__ import annotations

from collections.abc import Mapping

from upshot.errors import ConfigurationError


def parsed(text: str, name: str = "UPSHOT_VARIANTS") -> Mapping[str, str]:
    """The variants by experiment. Raises ConfigurationError for another form, under the setting's `name`."""
    found: dict[str, str] = {}
    for pair in filter(None, map(str.strip, text.split(","))):
        experiment, equals, variant = (piece.strip() for piece in pair.partition("="))
        if not (experiment and equals and variant):
            raise ConfigurationError(
                f"{name} has {pair!r:.100}; write EXPERIMENT=VARIANT pairs, such as "
                "reply-tone=warm,greeting=short"
            )
        found[experiment] = variant
    return found


__all__ = ["parsed"]
