"""The operator's hook: what it is given, and that nothing it does harms the watch."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from launcher.watch.hook import Hook
from tests.vm import Vm, wait_until
from tests.watch.conftest import Watcher

SECRETS = {"ANTHROPIC_API_KEY": "sk-secret", "NOTIFY_SOCKET": "@x", "WATCHDOG_USEC": "1"}


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def hook(said: list[str]) -> Iterator[Hook]:
    made = Hook({"PATH": os.environ["PATH"], **SECRETS}, said.append)
    yield made
    made.close()


def script(tmp_path: Path, text: str) -> list[str]:
    return ["/bin/sh", "-c", text, "hook", str(tmp_path)]


def wait(hook: Hook) -> None:
    def ended() -> bool:
        hook.turn()
        return not hook.descriptors

    wait_until(ended, "the hook ends")


def test_report_is_its_input_and_secrets_are_not_its_own(hook: Hook, tmp_path: Path) -> None:
    hook.change(script(tmp_path, 'cat > "$1/in"; env > "$1/env"; pwd > "$1/pwd"'), b"x" * 200_000)
    wait(hook)
    assert b"x" * 200_000 == (tmp_path / "in").read_bytes()
    environment = (tmp_path / "env").read_text()
    assert "PATH=" in environment
    assert not [name for name in SECRETS if name in environment]
    assert "/\n" == (tmp_path / "pwd").read_text()


def test_changes_during_a_run_are_delivered_after_it_and_the_last_one(
    hook: Hook, tmp_path: Path
) -> None:
    command = script(
        tmp_path, 'cat >> "$1/in"; mkdir "$1/one" || exit 9; sleep 0.3; rmdir "$1/one"'
    )
    for report in (b"a", b"b", b"c"):
        hook.change(command, report)
    wait(hook)
    assert b"ac" == (tmp_path / "in").read_bytes()
    assert not (tmp_path / "one").exists()


def test_hook_that_fails_is_said(hook: Hook, tmp_path: Path, said: list[str]) -> None:
    hook.change(script(tmp_path, "exit 3"), b"")
    wait(hook)
    program = str(tmp_path / "program")
    hook.change([program], b"")
    hook.change([], b"")
    assert ["on_change: /bin/sh ended with 3"] == said[:1]
    assert said[1].startswith(f"on_change: {program} cannot be run: ")
    assert [] == hook.descriptors


def test_slow_hook_is_killed_with_all_it_started(
    hook: Hook, tmp_path: Path, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("launcher.watch.hook.SECONDS", 0.3)
    hook.change(script(tmp_path, 'sleep 600 & echo $! > "$1/pid"; wait'), b"")
    assert hook.limit is not None
    wait(hook)
    assert ["on_change: /bin/sh did not end within its time, and was killed"] == said
    child = int((tmp_path / "pid").read_text())
    wait_until(lambda: not os.path.exists(f"/proc/{child}/exe"), "what it started ends too")


def test_end_of_the_watch_lets_it_finish(hook: Hook, tmp_path: Path) -> None:
    hook.change(script(tmp_path, 'sleep 0.2; touch "$1/done"'), b"")
    hook.close()
    assert (tmp_path / "done").exists()


def test_end_of_the_watch_does_not_wait_for_ever(
    hook: Hook, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("launcher.watch.hook._LEAVE", 0.2)
    started = time.monotonic()
    hook.change(script(tmp_path, "sleep 600"), b"")
    hook.close()
    assert time.monotonic() - started < 10


def test_each_change_of_the_verdict_is_told(vm: Vm, watching: Callable[..., Watcher]) -> None:
    told, program = vm.root / "told", vm.root / "hook"
    program.write_text(f'#!/bin/sh\ncat >> {told}\nyes "chatty" | head -c 100000\nexit 1\n')
    program.chmod(0o755)
    vm.write(more=f'[watch]\ninterval = 3600\non_change = ["{program}"]')
    watcher = watching(vm)
    assert not told.exists()
    entry = vm.entry("backup", "projects")
    entry.unlink()
    watcher.wait(told.exists, "the hook runs")
    wait_until(lambda: told.read_bytes().endswith(b"\n"), "it has read the report")
    watcher.wait(lambda: "ended with 1" in watcher.said(), "it has ended")
    entry.symlink_to(vm.target("projects"))
    wait_until(lambda: 2 == len(told.read_text().splitlines()), "the second change")
    reports = [json.loads(line)["failover"] for line in told.read_text().splitlines()]
    assert ["red", "green"] == [one["verdict"] for one in reports]
    assert ["missing"] == [one["state"] for one in reports[0]["failures"]]
    assert "chatty" in watcher.said()
    # A restart is no change.
    watcher.end()
    watcher = watching(vm)
    watcher.end()
    assert 2 == len(told.read_text().splitlines())
