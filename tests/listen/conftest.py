"""Fixtures of the listener's tests."""

from __future__ import annotations

from tests.formats.conftest import documents, told

__all__ = ["documents", "told"]
