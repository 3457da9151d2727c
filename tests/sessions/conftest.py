"""Fixtures of the backends' tests."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping

import pytest

from tests.sessions.keeper import Keeper
from tests.vm import Vm

TMUX_IS_MISSING = "tmux is not installed"


@pytest.fixture(params=["process", "tmux"])
def make_keeper(request: pytest.FixtureRequest, vm: Vm) -> Callable[..., Keeper]:
    """Return a function that makes a keeper for launchers of a given environment."""
    if request.param == "tmux" and shutil.which("tmux") is None:
        pytest.skip(TMUX_IS_MISSING)

    def make(environ: Mapping[str, str] | None = None) -> Keeper:
        return Keeper(vm, request.param, environ)

    return make


@pytest.fixture
def keeper(make_keeper: Callable[..., Keeper]) -> Keeper:
    """Return a keeper of each backend in turn."""
    return make_keeper()
