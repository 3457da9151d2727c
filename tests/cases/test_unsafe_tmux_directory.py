"""The directory of tmux's sockets is somebody else's, or open to others: tmux starts no server."""

from __future__ import annotations

import os

import pytest

from tests.cases.vm import Work, said
from tests.places import NEEDS_ROOT
from tests.vm import Vm

PUBLIC = "tmux/tmux#1218"
DIRECTORY = f"/tmp/tmux-{os.geteuid()}"

pytestmark = NEEDS_ROOT


def sockets(line: str) -> list[str]:
    """Return what a command is called by that has another directory of sockets, made by *line*."""
    script = f'mkdir -p -m 700 "$0" && mount -t tmpfs none "$0" && {line} && exec "$@"'
    return ["unshare", "--mount", "sh", "-c", script, DIRECTORY]


@pytest.mark.parametrize(
    ("line", "found", "fix"),
    [
        ("chmod 777 $0", "mode 0777", f"chmod o-rwx {DIRECTORY}"),
        ("chmod 701 $0", "mode 0701", f"chmod o-rwx {DIRECTORY}"),
        (
            "chmod 700 $0 && chown 12345 $0",
            "a directory of uid 12345",
            f"mv -n {DIRECTORY} {DIRECTORY}.aside/",
        ),
    ],
    ids=["open", "searchable", "of another user"],
)
@pytest.mark.thorough
def test_it_is_red_before_a_start_with_the_fix(vm: Vm, line: str, found: str, fix: str) -> None:
    work = Work(vm)
    for verb in ("check", "up"):
        done = vm.run(verb, prefix=sockets(line))
        assert 1 == done.returncode, said(done)
    (failure,) = vm.report["failures"]
    assert ("unsafe-sockets", found) == (failure["state"], failure["found"])
    assert failure["fix"].endswith(fix)
    assert [] == work.pids


@pytest.mark.parametrize("line", ["chmod 700 $0", "chmod 770 $0"])
def test_directory_that_tmux_takes_is_green(vm: Vm, line: str) -> None:
    Work(vm)
    done = vm.run("check", prefix=sockets(line))
    assert 0 == done.returncode, said(done)


def test_what_no_session_needs_is_not_looked_at(vm: Vm) -> None:
    Work(vm, backend="process")
    assert 0 == vm.run("check", prefix=sockets("chmod 777 $0")).returncode
