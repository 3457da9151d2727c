"""Two hosts, or containers, with one home: the second starts nothing that the first one holds."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.cases.vm import Work, said
from tests.places import NEEDS_ROOT, place
from tests.vm import Vm, wait_until

PUBLIC = "fujibee/agmsg#938, anomalyco/opencode#43620, anthropics/claude-code#80797"
HELD = (
    "  work  primary  failed   runs out of sight on the host one, and was not touched; its lock is "
    "held: {lock}; stop it there: launcher down work"
)
STARTED = "  work  primary  started"

pytestmark = [NEEDS_ROOT, pytest.mark.parametrize("backend", ["process", "tmux"])]


@contextmanager
def host(vm: Vm, name: str) -> Iterator[list[str]]:
    """Make a host with the files of this one, but ``/tmp/tmux-UID``; yield how it is called."""
    directory = f"/tmp/tmux-{os.geteuid()}"
    os.makedirs(directory, mode=0o700, exist_ok=True)
    mount = ["mount", "-t", "tmpfs", "-o", "mode=700", "none", directory]
    with place(vm, name, another_host=True) as made:
        subprocess.run([*made.prefix, *mount], check=True)
        yield made.prefix


def up_on(vm: Vm, work: Work, prefix: list[str]) -> int:
    """Let a host start the session; return the pid of its client, as it is seen from outside."""
    done = vm.run("up", prefix=prefix)
    assert 1 == sum(line.startswith(STARTED) for line in said(done)), said(done)
    wait_until(lambda: len(work.pids) == 1, "its client runs")
    return work.pids[0]


@pytest.mark.thorough
def test_second_host_starts_nothing_and_names_the_first(vm: Vm, backend: str) -> None:
    work = Work(vm, backend)
    with host(vm, "one") as one, host(vm, "two") as two:
        pid = up_on(vm, work, one)
        done = vm.run("up", prefix=two)
        assert HELD.format(lock=vm.state / "holders" / "work.lock") in said(done), said(done)
        assert (69, [pid]) == (done.returncode, work.pids)
        work.assert_one_writer_of_all_turns()


@pytest.mark.thorough
def test_second_host_starts_the_session_once_the_first_has_gone(vm: Vm, backend: str) -> None:
    """A container made anew over the volume is such a second host."""
    work = Work(vm, backend)
    with host(vm, "one") as one:
        up_on(vm, work, one)
    wait_until(lambda: not work.pids, "the first host has ended")
    with host(vm, "two") as two:
        up_on(vm, work, two)
        work.assert_one_writer_of_all_turns()
