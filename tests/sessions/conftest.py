"""Fixtures of the backends' tests."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from launcher.manager import Manager
from tests.sessions.keeper import Keeper
from tests.sessions.managed import as_the_system_s, manager_of_its_own, why_none
from tests.vm import Vm

TMUX_IS_MISSING = "tmux is not installed"


@pytest.fixture(scope="session")
def manager(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Manager]:
    """Return a user's manager of systemd that is there for this run of the tests alone."""
    if reason := why_none():
        pytest.skip(reason)
    with manager_of_its_own(Path(tmp_path_factory.mktemp("m"))) as found:
        yield found


@pytest.fixture(params=["process", "tmux", "systemd"])
def make_keeper(
    request: pytest.FixtureRequest, vm: Vm, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Keeper]:
    """Return a function that makes a keeper for launchers of a given environment."""
    if request.param != "process" and shutil.which("tmux") is None:
        pytest.skip(TMUX_IS_MISSING)
    if request.param == "systemd":
        found = request.getfixturevalue("manager")
        monkeypatch.setattr(Manager, "own", lambda environ: found)
        vm.prefix = as_the_system_s(found)

    def make(environ: Mapping[str, str] | None = None) -> Keeper:
        return Keeper(vm, request.param, environ)

    return make


@pytest.fixture
def keeper(make_keeper: Callable[..., Keeper]) -> Keeper:
    """Return a keeper of each backend in turn."""
    return make_keeper()
