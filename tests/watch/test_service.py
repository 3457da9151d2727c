"""The service in trouble: what the report says then, and that it comes back by itself."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.patching import patch
from tests.vm import Vm, wait_until
from tests.watch.conftest import Watcher

Watching = Callable[..., Watcher]
LONG = "[watch]\ninterval = 3600"
FAKETIME = sorted(map(str, Path("/usr/lib").glob("*/faketime/libfaketime.so.1")))


@contextmanager
def lock_of(vm: Vm) -> Iterator[None]:
    """Be another launcher that is at work."""
    with (vm.state / "lock").open("r+") as file:
        until = time.monotonic() + 10
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                assert time.monotonic() < until
        yield


def test_systemd_is_told_how_it_stands(vm: Vm, watching: Watching) -> None:
    vm.write(more=LONG)
    watcher = watching(vm)
    wait_until(lambda: "WATCHDOG=1" in watcher.messages(), "the watchdog is fed")
    vm.diverge()
    watcher.until("red")
    status = "STATUS=red: 1 of 21 invariants do not hold: backup projects: divergent"
    wait_until(lambda: status in watcher.messages(), "the status line")
    assert 0 == watcher.end(signal.SIGINT)
    assert "STATUS=green: all 21 invariants hold" in watcher.told


def test_end_takes_a_green_report_back_and_leaves_a_red_one(vm: Vm, watching: Watching) -> None:
    watcher = watching(vm)
    watcher.messages()
    assert 0 == watcher.end()
    assert ("unknown", "launcher watch has ended, and nobody keeps the report true") == (
        vm.report["verdict"],
        vm.report["reason"],
    )
    vm.diverge()
    watcher = watching(vm)
    assert 0 == watcher.end()
    assert "red" == vm.report["verdict"]
    status = json.loads(vm.run("status", "--json").stdout)
    assert "the launcher watch that kept it true has ended" == status["report"]["problem"]


@pytest.mark.thorough
def test_report_of_a_watch_that_was_killed_does_not_count(vm: Vm, watching: Watching) -> None:
    vm.write(more=LONG)
    watcher = watching(vm)
    assert 0 == vm.run("status").returncode
    zygote = watcher.zygote
    watcher.end(signal.SIGKILL)
    result = vm.run("status")
    assert 70 == result.returncode
    assert "has ended" in result.stdout
    wait_until(lambda: not os.path.exists(f"/proc/{zygote}"), "the warm process ends as well")


def test_green_report_can_be_taken_back_by_hand(vm: Vm) -> None:
    """As the unit does, whatever became of its watch."""
    vm.run("check")
    assert 0 == vm.run("watch", "--ended").returncode
    assert "unknown" == vm.report["verdict"]
    vm.diverge()
    vm.run("check")
    assert 0 == vm.run("watch", "--ended").returncode
    assert "red" == vm.report["verdict"]


def test_green_is_taken_back_where_a_change_cannot_be_judged(vm: Vm, watching: Watching) -> None:
    vm.write(more=LONG)
    watcher = watching(vm)
    with lock_of(vm):
        entry = vm.diverge()
        broken = time.monotonic()
        watcher.until("unknown")
        assert time.monotonic() - broken < 5  # the soak measures it, on a machine of its own
        assert "not judged yet" in vm.report["reason"]
    watcher.until("red")
    with lock_of(vm):
        entry.unlink()
        entry.symlink_to(vm.target("projects"))
        time.sleep(1.2)  # for what must not happen there is nothing to wait for
        assert "red" == watcher.verdict
    watcher.until("green")


@pytest.mark.thorough
def test_other_launchers_work_beside_it(vm: Vm, watching: Watching) -> None:
    vm.write(more=LONG)
    watcher = watching(vm)
    assert 0 == vm.run("check").returncode
    watcher.wait(lambda: "keeper" in vm.report, "the watch keeps the report again")
    vm.entry("backup", "projects").unlink()
    watcher.until("red")
    assert 0 == vm.run("ensure").returncode
    watcher.until("green")


def test_report_that_is_taken_away_comes_back(vm: Vm, watching: Watching) -> None:
    vm.write(more=LONG)
    watcher = watching(vm)
    vm.report_path.unlink()
    watcher.until("green")


@pytest.mark.thorough
def test_report_moves_with_the_inventory(vm: Vm, watching: Watching) -> None:
    vm.write(more=LONG)
    watcher = watching(vm)
    vm.write(report=str(vm.root / "moved" / "report.json"), more=LONG)
    watcher.until("unknown", "the old report does not stay green")
    moved = vm.root / "moved" / "report.json"
    watcher.wait(moved.exists, "the report is at its new place")
    assert "green" == json.loads(moved.read_text())["failover"]["verdict"]


@pytest.mark.thorough
def test_warm_process_that_hangs_is_told_and_replaced(vm: Vm, watching: Watching) -> None:
    vm.write(more=LONG, timeout=2)
    watcher = watching(vm)
    stopped = watcher.zygote
    os.kill(stopped, signal.SIGSTOP)
    vm.diverge()
    watcher.until("unknown", "the hang is told")
    watcher.until("red", "a new warm process was started")
    assert not os.path.exists(f"/proc/{stopped}")


def test_warm_process_that_is_killed_is_replaced(vm: Vm, watching: Watching) -> None:
    vm.write(more=LONG)
    watcher = watching(vm)
    os.kill(watcher.zygote, signal.SIGKILL)
    vm.diverge()
    watcher.until("red")
    assert "unknown" not in watcher.said()


def test_interval_sees_what_nobody_tells_of(vm: Vm, watching: Watching) -> None:
    vm.write({"api": ["my-program"]}, more="[watch]\ninterval = 0.3")
    program = vm.root / "bin" / "my-program"
    program.parent.mkdir()
    vm.environ["PATH"] = f"{program.parent}:{vm.environ['PATH']}"
    watcher = watching(vm)
    assert "red" == watcher.verdict
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    watcher.until("green", "a program that appears in PATH")


def test_overflow_of_the_queue_is_a_change(vm: Vm, watching: Watching) -> None:
    vm.write(more=LONG)
    watcher = watching(vm)
    limit = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
    watcher.send(signal.SIGSTOP)
    one, other = vm.home("backup") / "one", vm.home("backup") / "other"
    one.touch()
    for _ in range(limit // 4 + 10):  # each is two events, and none concerns an invariant
        one.rename(other)
        other.rename(one)
    vm.entry("primary", "projects").unlink()  # lost
    before = watcher.runs()
    watcher.send(signal.SIGCONT)
    watcher.until("red")
    assert before < watcher.runs()


def test_what_happened_while_it_was_suspended_is_judged_after_it(
    vm: Vm, watching: Watching
) -> None:
    vm.write(more=LONG)
    watcher = watching(vm)
    for pid in (watcher.process.pid, watcher.zygote):  # as when the whole machine is
        os.kill(pid, signal.SIGSTOP)
    vm.diverge()
    for pid in (watcher.zygote, watcher.process.pid):
        os.kill(pid, signal.SIGCONT)
    watcher.until("red")


@pytest.mark.skipif(not FAKETIME, reason="needs libfaketime (Debian: faketime)")
def test_clock_that_is_set_back_gives_the_report_a_time_of_its_own(
    vm: Vm, watching: Watching
) -> None:
    vm.write(more=LONG)
    offset = vm.root / "offset"
    offset.write_text("+0")
    vm.environ |= {"LD_PRELOAD": FAKETIME[0], "FAKETIME_TIMESTAMP_FILE": str(offset)}
    vm.environ |= {"FAKETIME_NO_CACHE": "1", "DONT_FAKE_MONOTONIC": "1"}
    watcher = watching(vm)
    before = watcher.runs()
    offset.write_text("-365d")
    watcher.wait(lambda: watcher.runs() < before, "a report of the new time")
    assert "green" == watcher.verdict


@pytest.mark.thorough
def test_new_code_on_the_disk_is_what_judges(vm: Vm, watching: Watching) -> None:
    """An upgrade under a running watch: it becomes the new program, as the same process."""
    code = vm.deploy()
    vm.write(more="[watch]\ninterval = 3600")
    watcher = watching(vm, cwd=code)
    pid, zygote = watcher.process.pid, watcher.zygote
    homes = code / "invariants" / "homes.py"
    new = homes.with_suffix(".new")
    shutil.copy(homes, new)
    patch(new, "can write it (mode", "can write it (by new code: mode")
    new.rename(homes)
    vm.home("backup").chmod(0o777)
    watcher.until("red")
    watcher.wait(lambda: watcher.zygote != zygote, "another warm process")
    assert pid == watcher.process.pid
    assert f"{homes} has changed" in watcher.said()
    assert "by new code" in vm.report["failures"][0]["found"]
    assert str(code) == str(vm.root_of_report)


@pytest.mark.thorough
def test_test_that_was_changed_after_it_was_collected_is_collected_anew(
    vm: Vm, watching: Watching
) -> None:
    code = vm.deploy()
    vm.write(more="[watch]\ninterval = 3600")
    watcher = watching(vm, cwd=code)
    (code / "invariants" / "test_links.py").write_text("")
    watcher.send(signal.SIGHUP)
    reason = "6 of 21 checks did not run"
    watcher.wait(lambda: reason in str(vm.report["reason"]), f"unknown, since {reason}")


@pytest.mark.thorough
def test_storm_of_changes_is_judged_all_the_same(vm: Vm, watching: Watching) -> None:
    vm.write(more="[watch]\ninterval = 3600\ndebounce = 0.5")
    watcher = watching(vm)
    before, until = watcher.runs(), time.monotonic() + 10
    home = vm.home("backup")
    while watcher.runs() == before:
        assert time.monotonic() < until
        home.chmod(0o711)
        home.chmod(0o700)
    assert "has ended" not in watcher.said()


def test_sessions_are_in_the_report_and_left_alone(vm: Vm, watching: Watching) -> None:
    vm.write({"api": ["sleep", "600"]}, more=LONG)
    watcher = watching(vm)
    assert ["stopped"] == [one["state"] for one in vm.report["sessions"]]
    vm.run("up")
    watcher.wait(lambda: "keeper" in vm.report, "the watch publishes after up")
    assert ["running"] == [one["state"] for one in vm.report["sessions"]]
    entry = vm.diverge()
    watcher.until("red")
    vm.run("down")
    entry.unlink()
    watcher.send(signal.SIGHUP)
    watcher.wait(lambda: [one["state"] for one in vm.report["sessions"]] == ["held"], "it is held")


@pytest.mark.parametrize(("moves", "account"), [(1, "backup"), (2, "primary")])
@pytest.mark.thorough
def test_session_that_was_switched_is_seen_where_it_is(
    vm: Vm, watching: Watching, moves: int, account: str
) -> None:
    vm.write({"api": ["sleep", "600"]}, more=LONG)
    watcher = watching(vm)
    vm.run("up")
    for asked in ["backup", "--home"][:moves]:
        assert 0 == vm.run("switch", "api", asked).returncode
    watcher.wait(lambda: "keeper" in vm.report, "the watch publishes after the switch")
    (seen,) = vm.report["sessions"]
    assert (account, "running") == (seen["account"], seen["state"])


def test_missing_sessions_are_started_on_green_only(vm: Vm, watching: Watching) -> None:
    entry = vm.diverge()
    vm.write({"api": ["sleep", "600"]}, more="[watch]\ninterval = 3600")
    watcher = watching(vm, "--ensure-sessions")
    assert ["held"] == [one["state"] for one in vm.report["sessions"]]
    entry.unlink()
    entry.symlink_to(vm.target("projects"))
    watcher.wait(
        lambda: [one["state"] for one in vm.report["sessions"]] in (["running"], ["started"]),
        "the session runs",
    )
    assert "running" in vm.run("status").stdout


@pytest.mark.thorough
def test_session_that_dies_at_once_is_given_up(vm: Vm, watching: Watching) -> None:
    starts = vm.root / "starts"
    vm.write(
        {"api": ["/bin/sh", "-c", f"echo >> {starts}"]}, more="[watch]\ninterval = 0.2", settle=0.2
    )
    watcher = watching(vm, "--ensure-sessions")
    watcher.wait(lambda: "given up until a reload: api" in watcher.said(), "it is given up")
    before = watcher.runs()
    watcher.wait(lambda: before + 1000 < watcher.runs(), "some intervals pass")
    assert 3 == len(starts.read_text().splitlines())
    watcher.send(signal.SIGHUP)
    watcher.wait(lambda: len(starts.read_text().splitlines()) == 6, "a reload tries again")


@pytest.mark.parametrize("option", [[], ["--ensure-sessions"]], ids=["plain", "ensure"])
def test_wrong_inventory_at_the_start_ends_it(vm: Vm, option: list[str]) -> None:
    vm.inventory.write_text("[shared]\n")
    assert 78 == vm.run("watch", *option).returncode


def test_watch_over_link_tests_that_do_nothing_is_red(
    vm: Vm, watching: Callable[..., Watcher]
) -> None:
    """The watch looks at the links itself before it publishes green."""
    code = vm.deploy()
    line = "    if not vm."
    patch(code / "invariants" / "test_links.py", line, f"    return\n{line}")
    entry = vm.diverge()
    watcher = watching(vm, cwd=code)
    watcher.until("red")
    (failure,) = vm.report["failures"]
    assert ("divergent", "projects") == (failure["state"], failure["link"])
    entry.unlink()
    entry.symlink_to(vm.target("projects"))
    watcher.until("green")
    vm.diverge("primary")
    watcher.until("red")
