"""Claude Code holds the lock of its session to its end, and nothing that it runs does."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest

from launcher.processes import command_line, identify
from launcher.sessions.holders import Lock, look
from tests.claude.cli import Cli
from tests.claude.stub import ToolUse
from tests.vm import pids, wait_until

SLEEP = ToolUse("Bash", {"command": "tail -f /dev/null", "description": "wait for ever"})


def holders(lock: Path) -> dict[int, str]:
    """Return the processes that have the lock's file open, with their command lines."""
    found = {}
    for pid in pids():
        try:
            descriptors = list(Path(f"/proc/{pid}/fd").iterdir())
            if any(descriptor.exists() and descriptor.samefile(lock) for descriptor in descriptors):
                found[pid] = Path(f"/proc/{pid}/cmdline").read_bytes().decode().replace("\0", " ")
        except OSError:
            continue
    return found


def running(claude: Cli, words: str) -> list[int]:
    """Return the processes of the VM whose command line is *words*."""
    found = [process for pid in claude.vm.processes() if (process := identify(pid))]
    return [process.pid for process in found if command_line(process) == words.split(" ")]


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGKILL], ids=["TERM", "KILL"])
def test_lock_is_held_to_the_client_s_end_and_not_by_what_it_runs(
    claude: Cli, ending: signal.Signals
) -> None:
    for account in claude.vm.accounts:
        claude.log_in(account)
    claude.keep("wait for it")
    claude.stub.script(SLEEP)
    up = claude.launch("up")
    assert 0 == up.returncode, up.stdout + up.stderr
    state = str(claude.vm.state)
    lock = claude.vm.state / "holders" / "work.lock"
    wait_until(lambda: running(claude, "tail -f /dev/null"), "the tool runs", 60)
    leader = claude.pane().pid
    assert [leader] == list(holders(lock)), holders(lock)
    assert Lock.HELD is look(state, "work").lock
    record = json.loads((claude.vm.state / "holders" / "work.json").read_text())
    assert lock.stat().st_ino == record["inode"]
    os.kill(leader, ending)
    wait_until(lambda: look(state, "work").lock is Lock.FREE, "the lock is free", 60)
