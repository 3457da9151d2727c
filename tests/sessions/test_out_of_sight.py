"""A session that runs where this launcher sees no process: never started again, never touched."""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from tests.places import NEEDS_ROOT, Place, place, without_proc
from tests.sessions.test_survey import WITHOUT_TMUX
from tests.vm import Vm, wait_until

pytestmark = NEEDS_ROOT

SLEEP = ["sleep", "600"]
OFF = '[invariants.off]\nsingle-writer = "to see what the sessions say"'


class World:
    """A VM with a session that runs, and a place from which it is not seen."""

    def __init__(self, vm: Vm, backend: str, stack: ExitStack) -> None:
        self.vm = vm
        self.backend = backend
        vm.write({"api": SLEEP}, backend=backend)
        self._stack = stack

    def make(self, host: str, *, another_host: bool = False) -> Place:
        return self._stack.enter_context(place(self.vm, host, another_host=another_host))

    def call(self, *arguments: str, prefix: list[str]) -> tuple[int, dict[str, Any]]:
        """Call a verb with ``--json``; return its exit code and the session's entry."""
        done = self.vm.run(*arguments, "--json", prefix=prefix)
        assert done.stdout, done.stderr
        (entry,) = json.loads(done.stdout)["sessions"]
        return done.returncode, entry


@pytest.fixture(params=["process", pytest.param("tmux", marks=WITHOUT_TMUX)])
def world(request: pytest.FixtureRequest, vm: Vm) -> Iterator[World]:
    with ExitStack() as stack:
        yield World(vm, str(request.param), stack)


@pytest.mark.sampled(1)
@pytest.mark.parametrize("another_host", [False, True], ids=["container", "host"])
def test_session_out_of_sight_is_named_by_every_verb_and_touched_by_none(
    world: World, another_host: bool
) -> None:
    first, second = (world.make(host, another_host=another_host) for host in ("one", "two"))
    assert 0 == world.vm.run("up", prefix=first.prefix).returncode
    before = world.vm.processes()
    where = "on the host one" if another_host else "in another container or pid namespace"
    for verb in (["up"], ["down"], ["status"]):
        code, entry = world.call(*verb, prefix=second.prefix)
        assert (69, "failed") == (code, entry["state"]), (verb, entry)
        assert f"runs out of sight {where}" in entry["detail"]
        assert "stop it there: launcher down api" in entry["detail"]
    code, entry = world.call("check", prefix=second.prefix)
    assert (0, "failed") == (code, entry["state"])
    done = world.vm.run("switch", "api", "backup", prefix=second.prefix)
    assert (69, "") == (done.returncode, done.stdout)
    assert "session api runs out of sight" in done.stderr
    assert before == world.vm.processes()
    code, entry = world.call("up", prefix=first.prefix)  # status: the report is of another boot
    assert (0, "running") == (code, entry["state"]), entry


@WITHOUT_TMUX
def test_session_that_an_earlier_build_started_is_seen_by_the_word_of_its_tmux_server(
    vm: Vm,
) -> None:
    """It holds no lock. Its server answers from another place, where its pids mean nothing here."""
    with ExitStack() as stack:
        world = World(vm, "tmux", stack)
        first, second = (world.make(host) for host in ("one", "two"))
        assert 0 == vm.run("up", prefix=first.prefix).returncode
        shutil.rmtree(vm.state / "holders")
        before = vm.processes()
        for verb in ("up", "down", "status"):
            code, entry = world.call(verb, prefix=second.prefix)
            assert (69, "failed") == (code, entry["state"]), (verb, entry)
            assert "its backend says so" in entry["detail"]
        vm.write({"api": SLEEP, "docs": SLEEP}, backend="tmux")
        assert 69 == vm.run("up", prefix=second.prefix).returncode
        docs = vm.report["sessions"][1]
        assert ("docs", "failed") == (docs["name"], docs["state"])
        assert "where what it starts cannot be seen" in docs["detail"]
        assert before == vm.processes()


@pytest.mark.sampled(1)
def test_session_of_a_container_that_is_seen_from_outside_is_not_started_twice(
    world: World,
) -> None:
    inside = world.make("one")
    assert 0 == world.vm.run("up", prefix=inside.prefix).returncode
    before = world.vm.processes()
    code, entry = world.call("up", prefix=[])
    assert (69, "failed") == (code, entry["state"]), entry
    assert before == world.vm.processes()


@pytest.mark.parametrize("empty", [False, True], ids=["no /proc", "empty /proc"])
@pytest.mark.thorough
def test_launcher_that_sees_no_process_at_all_touches_nothing(world: World, empty: bool) -> None:
    assert 0 == world.vm.run("up").returncode
    before = world.vm.processes()
    codes = {"check": 1, "up": 1, "down": 69, "status": 70}  # nobody knows of which boot it is
    for verb, code in codes.items():
        done = world.vm.run(verb, prefix=without_proc(empty=empty))
        assert code == done.returncode, (verb, done.stdout, done.stderr)
        assert "no process can be seen" in done.stdout + done.stderr, (verb, done.stdout)
    assert before == world.vm.processes()
    world.vm.write({"api": SLEEP}, backend=world.backend, more=OFF)
    assert 69 == world.vm.run("up", prefix=without_proc(empty=empty)).returncode
    assert before == world.vm.processes()
    code, entry = world.call("up", prefix=[])
    assert (0, "running") == (code, entry["state"]), entry


@pytest.mark.parametrize("another_host", [False, True], ids=["container", "host"])
@pytest.mark.thorough
def test_place_that_ended_leaves_a_session_that_another_starts_by_itself(
    world: World, another_host: bool
) -> None:
    first, second = (world.make(host, another_host=another_host) for host in ("one", "two"))
    assert 0 == world.vm.run("up", prefix=first.prefix).returncode
    first.end()
    code, entry = world.call("up", prefix=second.prefix)
    assert (0, "started") == (code, entry["state"]), entry
    code, entry = world.call("down", prefix=second.prefix)
    assert (0, "stopped") == (code, entry["state"]), entry


@pytest.mark.thorough
def test_adoption_waits_for_a_session_out_of_sight(vm: Vm) -> None:
    """No look at processes would find what it has open."""
    vm.write({"api": SLEEP})
    with place(vm, "one") as one, place(vm, "two") as two:
        assert 0 == vm.run("up", prefix=one.prefix).returncode
        entry = vm.entry("backup", "projects")
        entry.unlink()
        entry.mkdir()
        (entry / "file").write_text("of the account")
        for option in ([], ["--dry-run"]):
            done = vm.run("adopt", "backup", "projects", *option, prefix=two.prefix)
            assert (69, "") == (done.returncode, done.stdout)
            assert "nothing was written: a session may be at work" in done.stderr
            assert "session api runs out of sight" in done.stderr
        assert "of the account" == (entry / "file").read_text()
        one.end()
        assert 0 == vm.run("adopt", "backup", "projects", prefix=two.prefix).returncode
    assert entry.is_symlink()


@pytest.mark.thorough
def test_host_that_was_renamed_sees_its_own_session(world: World) -> None:
    here = world.make("one")
    assert 0 == world.vm.run("up", prefix=here.prefix).returncode
    renamed = [*here.prefix, "sh", "-c", 'hostname renamed; exec "$@"', "sh"]
    code, entry = world.call("up", prefix=renamed)
    assert (0, "running") == (code, entry["state"]), entry
    code, entry = world.call("down", prefix=renamed)
    assert (0, "stopped") == (code, entry["state"]), entry


def test_session_that_lost_its_mark_and_its_record_is_seen_by_its_lock(vm: Vm) -> None:
    """Its program empties its environment, and leaves the session that the launcher made."""
    program = vm.root / "astray"
    program.write_text("#!/bin/sh\nexec env -i setsid --fork sleep 600\n")
    program.chmod(0o700)
    vm.write({"api": [str(program)]}, settle=0.5)
    vm.run("up")
    (vm.state / "sessions" / "api.json").unlink(missing_ok=True)
    holders = [pid for pid in map(int, _pids()) if _holds(vm, pid)]
    try:
        done = vm.run("up")
        assert 69 == done.returncode
        assert f"this may be of it: pid {holders[0]} (sleep)" in done.stdout
        assert f"kill {holders[0]}" in done.stdout
    finally:
        for pid in holders:
            os.kill(pid, signal.SIGKILL)
    wait_until(lambda: "started" in vm.run("up").stdout or _holds_any(vm), "its lock is free")


def _pids() -> list[str]:
    return [name for name in os.listdir("/proc") if name.isdigit()]


def _holds(vm: Vm, pid: int) -> bool:
    lock = vm.state / "holders" / "api.lock"
    try:
        return os.path.samefile(f"/proc/{pid}/fd/9", lock)
    except OSError:
        return False


def _holds_any(vm: Vm) -> bool:
    return any(_holds(vm, int(pid)) for pid in _pids())
