"""Notifications on a real broker."""

from __future__ import annotations

from tests.processors.conftest import bench

__all__ = ["bench"]
