"""A VM that a builder of the collection changes, and of which nothing is left."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.healthy.world import World


@pytest.fixture
def world() -> Iterator[World]:
    made = World()
    yield made
    made.close()
