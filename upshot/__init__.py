"""Upshot scores AI agents by what happened next."""

__version__ = "0.1.0"

__all__ = ["__version__"]
