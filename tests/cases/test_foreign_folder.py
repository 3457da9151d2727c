"""A folder of another project that cannot be looked into stops no session."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.cases.vm import Work, said
from tests.places import NEEDS_ROOT
from tests.vm import UNPRIVILEGED, Vm

PUBLIC = "AutoMaker-Org/automaker#748"
ANOTHER = "-another-project"


def closed(folder: Path) -> None:
    folder.mkdir(mode=0)


def of_another_user(folder: Path) -> None:
    folder.mkdir(mode=0o700)
    os.chown(folder, 54321, 54321)


def loop(folder: Path) -> None:
    folder.symlink_to(folder.name)


@pytest.fixture
def work(vm: Vm) -> Iterator[Work]:
    """Yield a session of a launcher that permissions count for."""
    vm.prefix = [*UNPRIVILEGED]
    work = Work(vm)
    yield work
    for folder in vm.target("projects").iterdir():
        if not folder.is_symlink():
            folder.chmod(0o700)


@pytest.mark.parametrize(
    "make",
    [closed, pytest.param(of_another_user, marks=NEEDS_ROOT), loop],
    ids=["closed", "another-users", "loop"],
)
@pytest.mark.thorough
def test_folder_of_another_project_stops_no_start(
    vm: Vm, work: Work, make: Callable[[Path], None]
) -> None:
    make(vm.target("projects") / ANOTHER)
    for verb in ("check", "up"):
        done = vm.run(verb)
        assert 0 == done.returncode, said(done)
    (pid,) = work.pids
    done = vm.run("switch", "work", "backup")
    assert 0 == done.returncode, said(done)
    assert (["backup"], [work.conversation]) == (work.homes, [one.stem for one in work.transcripts])
    assert [pid] != work.pids
    work.assert_one_writer_of_all_turns()
