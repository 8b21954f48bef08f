"""Variants of experiments, forced in tests."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager

from upshot.sdk.experiments import forced


def variants(given: Mapping[str, str] | None = None, /, **more: str) -> AbstractContextManager[None]:
    """Inside this `with` experiments give these variants: `variants(tone="warm")`, or a mapping by name.

    Exposures are of strategy `forced`, which results leave out. Holds for all threads of the process.
    """
    return forced({**(given or {}), **more})


__all__ = ["variants"]
