"""``run`` of a client for a conversation that a session has open: it would be the second writer."""

from __future__ import annotations

import subprocess
import sys
from uuid import uuid4

import pytest

from tests.cases.vm import Work, said
from tests.interleavings import writer
from tests.vm import Vm, wait_until

REFUSED = "launcher: refused: two processes would write one transcript; nothing was run"
FOUND = "launcher:   found     pid {pid} (claude), session work, account primary"
FIX = "launcher:   fix       launcher down work --inventory {inventory}  # ends it"
OR = (
    "launcher:   or        add --fork-session to the command: "
    "it begins a branch with an id of its own"
)

BY_ID = ("--resume", "ID")
WITHOUT_AN_ID = [("--continue",), ("-c",), ("--resume",), ("-r",)]


@pytest.mark.parametrize("words", [BY_ID, ("--resume=ID",), ("-r", "ID"), *WITHOUT_AN_ID])
@pytest.mark.thorough
def test_command_that_would_open_what_a_session_has_open_is_refused(
    vm: Vm, words: tuple[str, ...]
) -> None:
    work = Work(vm, "process")
    pid = work.up()
    conversation = work.conversation
    words = tuple(word.replace("ID", conversation) for word in words)
    command = ["run", "backup", "--", str(work.program), *words]
    done = vm.run(*command, cwd=work.directory, timeout=20)
    for line in (REFUSED, FOUND, FIX, OR):
        assert line.format(pid=pid, inventory=vm.inventory) in said(done), said(done)
    assert (1, [pid]) == (done.returncode, work.pids)
    work.assert_one_writer_of_all_turns()


@pytest.mark.thorough
@pytest.mark.parametrize("words", [("--continue",), ("--resume",)])
def test_session_of_another_directory_is_no_reason_to_refuse(
    vm: Vm, words: tuple[str, ...]
) -> None:
    work = Work(vm, "process")
    work.up()
    done = vm.run("run", "backup", "--", "/bin/echo", "claude", *words)
    assert (0, [" ".join(("claude", *words))]) == (done.returncode, said(done))


@pytest.mark.thorough
def test_command_for_a_conversation_that_is_free_runs(vm: Vm) -> None:
    work = Work(vm, "process")
    work.up()
    work.down()
    _assert_runs(work, "--resume", work.conversation)
    work.assert_one_writer_of_all_turns()


@pytest.mark.thorough
def test_new_conversation_beside_a_session_runs(vm: Vm) -> None:
    work = Work(vm, "process")
    work.up()
    _assert_runs(work, "--session-id", str(uuid4()))
    work.assert_one_writer_of_all_turns()


@pytest.mark.thorough
def test_fork_of_what_a_session_has_open_runs(vm: Vm) -> None:
    work = Work(vm, "process")
    work.up()
    echo = work.vm.root / "bin" / "claude"
    echo.parent.mkdir()
    echo.write_text('#!/bin/sh\necho "$@"\n')
    echo.chmod(0o755)
    words = ["--resume", work.conversation, "--fork-session"]
    done = vm.run("run", "backup", "--", str(echo), *words, cwd=work.directory)
    assert (0, [" ".join(words)]) == (done.returncode, said(done))


def _assert_runs(work: Work, option: str, conversation: str) -> None:
    command = [sys.executable, "-m", "launcher", "--inventory", str(work.vm.inventory)]
    command += ["run", "backup", "--", str(work.program), option, conversation]
    with subprocess.Popen(command, env=work.vm.environ, cwd=work.directory) as process:
        live = [(process.pid, "home-backup")]
        wait_until(
            lambda: process.poll() is not None or writer.live(work.vm).get(conversation) == live,
            "the command runs",
        )
        assert process.poll() is None
        process.terminate()
