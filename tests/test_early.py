"""The gate's child is started before anything else, and whatever comes then, it is not left."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from pathlib import Path

import pytest

from launcher.early import GATED, Started, early
from launcher.interrupts import Interrupts
from launcher.pytest_child import run
from launcher.verbs import VERBS, verb
from tests.vm import Vm, wait_until


def test_verbs_with_a_gate_are_those_that_say_so() -> None:
    """One that leaves its session's unit first must not have its child in there."""
    gated = {
        name
        for name in VERBS
        if (one := verb(name)).reports and one.writes and one.inventory and not one.stops
    }
    assert gated == GATED


@pytest.mark.parametrize(
    ("line", "starts"),
    [
        ("check", True),
        ("--inventory x.toml up --json", True),
        ("--inventory=x.toml run primary -- true", True),
        ("--inventory check", False),
        ("explain check", False),
        ("status", False),
        ("--version", False),
        ("", False),
    ],
)
def test_child_is_started_where_the_verb_runs_a_gate(line: str, starts: bool) -> None:
    child = early(line.split())
    try:
        assert starts == (child is not None)
    finally:
        if child is not None:
            child.end()


def test_child_inherits_nothing_but_what_it_shares(vm: Vm, tmp_path: Path) -> None:
    """A descriptor that this process was given from outside, say a lock of somebody else's."""
    with open(tmp_path / "theirs", "w") as theirs:
        os.set_inheritable(theirs.fileno(), True)
        with Started(vm.environ) as child:
            descriptors = Path(f"/proc/{child.pid}/fd")

            def held() -> set[str]:
                found = set()
                for one in descriptors.iterdir():
                    with suppress(FileNotFoundError):  # it may be closing it
                        found.add(os.readlink(one).split(" ")[0])
                return found

            shared = {f"/memfd:claude-failover-{one}" for one in ("given", "document", "check")}
            wait_until(lambda: str(tmp_path / "theirs") not in held(), "it has let go of it")
            assert shared <= held()
            assert "/" == os.readlink(f"/proc/{child.pid}/cwd")


def test_child_that_is_ended_leaves_neither_descriptor_nor_process(vm: Vm) -> None:
    before = set(os.listdir("/proc/self/fd"))
    with Started(vm.environ) as child:
        pid = child.pid
        assert child.status() is None
    child.end()  # once more does no harm
    assert before == set(os.listdir("/proc/self/fd"))
    assert not os.path.exists(f"/proc/{pid}")


def test_child_that_died_before_its_word_is_told_by_its_status(vm: Vm) -> None:
    with Started(vm.environ) as child, Interrupts(signals=()) as waiting:
        os.kill(child.pid, signal.SIGKILL)
        ended = run(child, b"", 20.0, waiting)
    assert (-signal.SIGKILL, b"") == (ended.status, ended.document)


@pytest.mark.parametrize("program", ["no-such-python", "/dev/null"])
def test_child_that_cannot_be_started_leaves_nothing(
    vm: Vm, monkeypatch: pytest.MonkeyPatch, program: str
) -> None:
    before = set(os.listdir("/proc/self/fd"))
    monkeypatch.setattr("sys.executable", program)
    with pytest.raises(OSError, match=program):
        Started(vm.environ)
    assert early(["check"]) is None
    assert before == set(os.listdir("/proc/self/fd"))
