"""Signals to a launcher at work: what it says of the sessions afterwards is what runs."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from time import monotonic

import pytest

from tests.vm import Vm, wait_until

SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]
NAMES = ["a", "b", "c", "d"]
BACKENDS = [
    "process",
    pytest.param(
        "tmux",
        marks=pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed"),
    ),
]
KILLS, INTERRUPTS = 9, 6


def begun(vm: Vm) -> dict[str, int]:
    """Return the sessions whose program runs: names and pids, as the programs tell them."""
    found = {}
    running = vm.processes()  # a mark outlives its program, and its pid may be a stranger's then
    for mark in vm.root.glob("*.pid"):
        name, _, pid = mark.stem.partition("-")
        if int(pid) in running:
            assert name not in found, f"session {name} runs twice"
            found[name] = int(pid)
    return found


def write(vm: Vm, **keys: object) -> None:
    """Write an inventory of sessions that each leave a mark, and run until they are ended."""
    commands = {name: ["sh", "-c", f"> {vm.root}/{name}-$$.pid; exec sleep 300"] for name in NAMES}
    vm.write(commands, **keys)  # type: ignore[arg-type]  # keys of the [launcher] table


def command(vm: Vm, *arguments: str) -> list[str]:
    return [sys.executable, "-m", "launcher", "--inventory", str(vm.inventory), *arguments]


@contextmanager
def launcher(vm: Vm, *arguments: str, cwd: Path | None = None) -> Iterator[subprocess.Popen[str]]:
    """Run a launcher in a process group of its own, as a terminal's job."""
    with subprocess.Popen(
        command(vm, *arguments),
        env=vm.environ,
        cwd=cwd or vm.root,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        process_group=0,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def settled(vm: Vm) -> bool:
    """Tell whether each process of the VM is a session's program by now, or tmux."""
    programs = set(begun(vm).values())
    for pid in vm.processes():
        with suppress(OSError):
            if pid not in programs and b"tmux" not in Path(f"/proc/{pid}/cmdline").read_bytes():
                return False
    return True


def assert_status_knows_all_that_runs(vm: Vm) -> dict[str, str]:
    """Compare ``status`` with the processes; return the states it tells."""
    wait_until(lambda: settled(vm), "what was under way when the launcher ended is over")
    document = json.loads(vm.run("status", "--json").stdout)
    states = {session["name"]: session["state"] for session in document["sessions"]}
    running = {name for name, state in states.items() if state == "running"}
    assert set(begun(vm)) == running
    return states


def assert_report_is_true(vm: Vm) -> None:
    """Compare the sessions of the report with the processes."""
    told = {session["name"]: session["state"] for session in vm.report["sessions"]}
    alive = {name for name, state in told.items() if state in ("running", "started")}
    assert set(begun(vm)) == alive


@pytest.mark.parametrize("number", SIGNALS)
def test_signal_during_the_gate_starts_nothing(vm: Vm, number: signal.Signals) -> None:
    copy, there = vm.deploy(), vm.root / "in-the-gate"
    (copy / "invariants" / "test_a_wait.py").write_text(
        f"import pathlib, signal\ndef test_wait():\n"
        f"    pathlib.Path({str(there)!r}).touch()\n    signal.pause()\n"
    )
    write(vm)
    with launcher(vm, "up", "--json", cwd=copy) as process:
        wait_until(there.exists, "the gate is at work")
        os.killpg(process.pid, number)
        output, errors = process.communicate(timeout=20)
    assert 128 + number == process.returncode
    assert f"launcher: interrupted by {number.name}\n" == errors
    assert vm.report == json.loads(output)
    assert ("unknown", f"interrupted by {number.name}") == (
        vm.report["verdict"],
        vm.report["reason"],
    )
    assert ["held"] * len(NAMES) == [session["state"] for session in vm.report["sessions"]]
    assert ["stopped"] * len(NAMES) == list(assert_status_knows_all_that_runs(vm).values())


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.sampled(2)
def test_signal_while_the_sessions_settle_tells_what_was_started(
    vm: Vm, number: signal.Signals, backend: str
) -> None:
    write(vm, settle=30, backend=backend)
    with launcher(vm, "up", "--json") as process:
        wait_until(lambda: len(begun(vm)) == len(NAMES), "all sessions are started")
        before = monotonic()
        os.killpg(process.pid, number)
        output = process.communicate(timeout=20)[0]
    assert monotonic() - before < 10
    assert 128 + number == process.returncode
    assert vm.report == json.loads(output)
    assert "green" == vm.report["verdict"]
    told = [(session["state"], session["detail"]) for session in vm.report["sessions"]]
    assert ["started"] * len(NAMES) == [state for state, _ in told], told
    assert ["running"] * len(NAMES) == list(assert_status_knows_all_that_runs(vm).values())


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("first", NAMES[:-1])
@pytest.mark.sampled(2)
def test_signal_between_two_starts_tells_which_were_started(
    vm: Vm, first: str, backend: str
) -> None:
    write(vm, settle=30, backend=backend)
    with launcher(vm, "up", "--json") as process:
        wait_until(lambda: first in begun(vm), f"session {first} is started")
        process.terminate()
        output = process.communicate(timeout=20)[0]
    assert 128 + signal.SIGTERM == process.returncode
    assert vm.report == json.loads(output)
    states = assert_status_knows_all_that_runs(vm)
    assert "running" == states[first]
    assert_report_is_true(vm)
    assert {"started", "stopped"} >= {session["state"] for session in vm.report["sessions"]}
    write(vm, backend=backend)
    assert 0 == vm.run("up").returncode
    assert set(NAMES) == set(begun(vm))
    assert_report_is_true(vm)


def test_signal_during_down_leaves_what_status_knows(vm: Vm) -> None:
    asked = vm.root / "asked"
    stubborn = f"trap '> {asked}' TERM; > {vm.root}/a-$$.pid; while :; do sleep 0.05; done"
    vm.write({"a": ["sh", "-c", stubborn]})
    assert 0 == vm.run("up").returncode
    wait_until(lambda: "a" in begun(vm), "the session is ready")
    with launcher(vm, "down") as process:
        wait_until(asked.exists, "the session is asked to end")
        process.send_signal(signal.SIGINT)
        output, error = process.communicate(timeout=20)
    assert "launcher: interrupted by SIGINT\n" == error
    assert "  a  primary  failed   still running: pid " in output
    assert 128 + signal.SIGINT == process.returncode
    assert {"a"} == set(begun(vm))
    document = json.loads(vm.run("status", "--json").stdout)
    assert ["running"] == [session["state"] for session in document["sessions"]]


def test_signal_that_was_ignored_before_stops_nothing(vm: Vm) -> None:
    """``nohup launcher up`` outlives its terminal."""
    write(vm, settle=0.5)
    with subprocess.Popen(
        ["sh", "-c", 'trap "" HUP; exec "$@"', "sh", *command(vm, "up")],
        env=vm.environ,
        cwd=vm.root,
        stdout=subprocess.DEVNULL,
    ) as process:
        wait_until(lambda: begun(vm), "the first session is started")
        process.send_signal(signal.SIGHUP)
    assert 0 == process.returncode
    assert set(NAMES) == set(begun(vm))


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.thorough
def test_launcher_killed_at_any_moment_leaves_nothing_that_status_does_not_know(
    vm: Vm, backend: str
) -> None:
    write(vm, backend=backend)
    before = monotonic()
    assert 0 == vm.run("up").returncode
    whole = monotonic() - before
    counts = set[int]()
    for moment in count():  # later and later, where the machine has become slower since
        if moment >= KILLS and len(counts) > 1:
            break
        assert moment < 5 * KILLS
        assert 0 == vm.run("down").returncode
        assert [] == list(begun(vm))
        with launcher(vm, "up") as process:
            with suppress(subprocess.TimeoutExpired):
                process.wait(1.3 * whole * (moment + 0.5) / KILLS)
            process.kill()
        states = assert_status_knows_all_that_runs(vm)
        counts.add(list(states.values()).count("running"))
        assert vm.report["verdict"] in ("green", "unknown")
    assert 0 == vm.run("up").returncode
    assert set(NAMES) == set(begun(vm))
    assert_report_is_true(vm)
    leftovers = [path.name for path in vm.state.iterdir() if path.name.endswith(".new")]
    assert [] == leftovers


@pytest.mark.thorough
def test_launcher_interrupted_at_any_moment_reports_the_truth(vm: Vm) -> None:
    write(vm, settle=0.2)
    before = monotonic()
    assert 0 == vm.run("up").returncode
    whole = monotonic() - before
    interrupted = 0
    for moment in range(INTERRUPTS):
        number = SIGNALS[moment % len(SIGNALS)]
        assert 0 == vm.run("down").returncode
        vm.report_path.unlink(missing_ok=True)
        with launcher(vm, "up") as process:
            with suppress(subprocess.TimeoutExpired):
                process.wait(whole * (moment + 0.5) / INTERRUPTS)
            process.send_signal(number)
            process.communicate(timeout=20)
        # Python itself dies of a signal that comes before the launcher listens; while it sets up
        # itself, with exit code 1.
        early = [-number] if vm.report_path.exists() else [-number, 1]
        assert process.returncode in (0, 128 + number, *early)
        assert_status_knows_all_that_runs(vm)
        if process.returncode == 128 + number and vm.report_path.exists():
            interrupted += 1
            assert_report_is_true(vm)
            if vm.report["verdict"] == "unknown":
                assert f"interrupted by {number.name}" == vm.report["reason"]
    assert interrupted
