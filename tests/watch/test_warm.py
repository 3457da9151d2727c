"""The warm gate judges as the cold one does, and its processes are under the same limits."""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from invariants.inventory import load
from launcher.gate import judged, validate_all
from launcher.interrupts import Interrupts
from launcher.verdict import Gate
from launcher.watch.code import Code
from launcher.watch.held import PARTS
from launcher.watch.warm import Lost, Stale, Warm
from tests.patching import patch
from tests.vm import CHECKOUT, Vm, wait_until
from tests.watch.conftest import children


@pytest.fixture
def warm(vm: Vm) -> Iterator[Warm]:
    made = Warm(vm.environ)
    yield made
    made.close()


def gate(warm: Warm, vm: Vm, while_it_runs: Callable[[], object] | None = None) -> Gate:
    """Run the warm gate on the VM."""
    inventory = load(str(vm.inventory))
    running = warm.start(inventory)
    try:
        while True:
            select.select(running.descriptors, [], [], max(0, running.limit - time.monotonic()))
            if (run := running.advance()) is not None:
                with Interrupts(signals=()) as waiting:
                    return judged(inventory, vm.environ, run, 1.0, 2.0, waiting)
            if while_it_runs is not None:
                while_it_runs()
    finally:
        running.end()


def timeless(value: Any) -> Any:
    """Return a document without what differs from run to run."""
    if isinstance(value, dict):
        times = ("created", "duration", "start", "stop")
        return {key: timeless(one) for key, one in value.items() if key not in times}
    return [timeless(one) for one in value] if isinstance(value, list) else value


def test_verdict_and_document_are_those_of_the_cold_gate(vm: Vm, warm: Warm) -> None:
    for spoil in (lambda: None, lambda: vm.diverge(), lambda: vm.target("projects").rmdir()):
        spoil()
        inventory = load(str(vm.inventory))
        cold, seen = validate_all(inventory, environ=vm.environ), gate(warm, vm)
        assert cold.verdict == seen.verdict
        assert seen.document.pop(PARTS)
        assert timeless(cold.document) == timeless(seen.document)
        assert (1.0, 3.0) == (seen.started, seen.finished)


def test_nothing_of_a_run_is_left_in_the_next(vm: Vm, warm: Warm) -> None:
    gate(warm, vm)
    before = os.listdir("/proc/self/fd")
    entry = vm.diverge()
    assert "red" == gate(warm, vm).verdict.colour
    entry.unlink()
    entry.symlink_to(vm.target("projects"))
    assert "green" == gate(warm, vm).verdict.colour
    assert len(before) == len(os.listdir("/proc/self/fd"))


def deployed(vm: Vm, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let the warm process run a copy that can be spoilt."""
    code = vm.deploy()
    monkeypatch.setattr("launcher.watch.warm.root", lambda: str(code))
    return code


@pytest.mark.thorough
def test_time_limit_ends_the_child_and_its_group(
    vm: Vm, warm: Warm, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = deployed(vm, monkeypatch)
    test = code / "invariants" / "test_homes.py"
    hang = "    import os, subprocess, time\n"
    hang += f"    child = subprocess.Popen(['sleep', '600'])\n    open('{vm.root}/pid', 'w')"
    hang += ".write(f'{child.pid}\\n')\n    time.sleep(600)\n"
    patch(test, "    fault = vm.homes", hang + "    fault = vm.homes")
    vm.write(timeout=3)
    verdict = gate(warm, vm).verdict
    assert ("unknown", True) == (verdict.colour, "hung at primary home" in str(verdict.reason))
    child = int((vm.root / "pid").read_text())
    wait_until(lambda: not os.path.exists(f"/proc/{child}/exe"), "the group is killed")
    test.write_text((CHECKOUT / "invariants" / "test_homes.py").read_text())
    with pytest.raises(Stale, match=r"test_homes\.py"):
        gate(warm, vm)
    warm.close()
    assert "green" == gate(warm, vm).verdict.colour


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        ("os._exit(0)", "0 of"),
        ("os.kill(os.getpid(), 9)", "ended by signal 9"),
        ("os.kill(os.getppid(), 9)", None),
    ],
    ids=["exit", "kill", "kill the warm process"],
)
@pytest.mark.thorough
def test_child_that_ends_itself_is_never_green(
    vm: Vm, warm: Warm, monkeypatch: pytest.MonkeyPatch, spoil: str, reason: str | None
) -> None:
    code = deployed(vm, monkeypatch)
    test = code / "invariants" / "test_homes.py"
    line = f"    import os\n    {spoil}\n    fault = vm.homes"
    patch(test, "    fault = vm.homes", line)
    if reason is None:
        with pytest.raises(Lost, match="the warm process has ended"):
            gate(warm, vm)
        return
    assert "unknown" == gate(warm, vm).verdict.colour


def test_changed_code_is_refused(vm: Vm, warm: Warm, monkeypatch: pytest.MonkeyPatch) -> None:
    code = deployed(vm, monkeypatch)
    assert "green" == gate(warm, vm).verdict.colour
    os.utime(code / "invariants" / "links.py")
    with pytest.raises(Stale, match=r"invariants/links\.py"):
        gate(warm, vm)


def made_ready(warm: Warm, vm: Vm) -> int:
    """Have a run of the VM's inventory ready; return its process, which waits for its word."""
    warm.get_ready(load(str(vm.inventory)))
    assert warm._process is not None
    parent = warm._process.pid
    wait_until(lambda: children(parent, "zygote.py"), "a child is there")
    (held,) = children(parent, "zygote.py")
    wait_until(lambda: "S" == process_state(held), "it sleeps")
    return held


def process_state(pid: int) -> str:
    """Return a process's state, as proc(5) names it."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def test_run_that_is_ready_looks_at_nothing_before_its_word(vm: Vm, warm: Warm) -> None:
    """What happens after the collection is seen, and the time is counted from the word."""
    made_ready(warm, vm)
    vm.diverge()
    began = time.time()
    seen = gate(warm, vm)
    assert "red" == seen.verdict.colour
    assert 0 < seen.document["duration"] <= time.time() - began


def test_run_that_is_ready_is_given_up_for_another_inventory(vm: Vm, warm: Warm) -> None:
    held = made_ready(warm, vm)
    vm.write({"one": [sys.executable]})
    verdict = gate(warm, vm).verdict
    assert ("green", True) == (verdict.colour, verdict.expected > 0)
    assert not os.path.exists(f"/proc/{held}/exe")


def test_run_that_is_ready_and_about_other_checks_by_now_is_lost(vm: Vm) -> None:
    """Which backend is checked depends on the programs there are, and not on the inventory."""
    tools = vm.root / "tools"
    tools.mkdir()
    vm.environ["PATH"] = str(tools)
    vm.write({"one": [sys.executable]}, backend="auto")
    warm = Warm(vm.environ)
    try:
        made_ready(warm, vm)
        (tools / "tmux").symlink_to("/bin/true")
        with pytest.raises(Lost, match="what is called for has changed"):
            gate(warm, vm)
        assert "green" == gate(warm, vm).verdict.colour
    finally:
        warm.close()


def test_child_that_dies_while_it_is_ready_is_lost(vm: Vm, warm: Warm) -> None:
    held = made_ready(warm, vm)
    os.kill(held, signal.SIGKILL)
    wait_until(lambda: "Z" == process_state(held), "it is dead")
    with pytest.raises(Lost):
        gate(warm, vm)
    assert "green" == gate(warm, vm).verdict.colour


def test_child_that_is_ready_ends_with_the_warm_process(vm: Vm, warm: Warm) -> None:
    held = made_ready(warm, vm)
    assert warm._process is not None
    warm._process.kill()
    wait_until(lambda: not os.path.exists(f"/proc/{held}/exe"), "the child has ended")


def test_warm_process_that_is_gone_is_started_anew(vm: Vm, warm: Warm) -> None:
    gate(warm, vm)
    process = warm._process
    assert process is not None
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert "green" == gate(warm, vm).verdict.colour


def test_program_without_a_word_from_its_parent_ends(vm: Vm) -> None:
    """Its protocol, run by hand: what it answers, and that it ends with its parent."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    program = CHECKOUT / "launcher" / "watch" / "zygote.py"
    with ours, theirs:
        process = subprocess.Popen(
            [sys.executable, program, str(CHECKOUT), str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            env={**os.environ, **vm.environ},
        )
        theirs.close()
        files = [os.memfd_create(name) for name in "abc"]
        reader, writer = os.pipe()
        socket.send_fds(ours, [b"new 7"], [*files, writer])
        os.close(writer)
        number, word, pid = ours.recv(100).split()
        assert (b"7", b"pid") == (number, word)
        assert b"7 status 1" == ours.recv(100)  # there was no inventory in it
        assert b"EOFError" in os.read(reader, 65536)
        ours.send(b"done 6")  # of another run: nothing happens
        ours.send(b"done 7")
        wait_until(lambda: not os.path.exists(f"/proc/{int(pid)}"), "the child is let go")
        for descriptor in (*files, reader):
            os.close(descriptor)
        ours.close()
        assert 0 == process.wait(20)


def test_code_is_what_was_imported(tmp_path: Path) -> None:
    assert any(file.endswith("launcher/watch/code.py") for file in Code.loaded().stamps)
    file = tmp_path / "a.py"
    file.write_text("1")
    (tmp_path / "b.txt").write_text("1")
    code = Code.below(str(tmp_path))
    assert [str(file)] == list(code.stamps)
    assert code.changed() is None
    file.write_text("2")
    assert str(file) == code.changed()
    file.unlink()
    assert str(file) == code.changed()
