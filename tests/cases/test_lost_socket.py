"""tmux's socket is gone from ``/tmp``: ``switch`` must not end what it could not start again."""

from __future__ import annotations

import os
import signal
import subprocess

import pytest

from tests.cases.vm import Work, said
from tests.vm import Vm, wait_until

PUBLIC = "tmux/tmux#4640, #4994"
STARTED = "  work  primary  started"
SWITCHED = "work: primary -> backup: switched, with conversation {conversation}"


@pytest.mark.parametrize("lost", [False, True], ids=["socket", "no socket"])
@pytest.mark.thorough
def test_switch_moves_the_session_whether_the_socket_is_there_or_not(vm: Vm, lost: bool) -> None:
    work = Work(vm)
    work.up()
    if lost:
        vm.tmux_socket.unlink()
    done = vm.run("switch", "work", "backup")
    assert SWITCHED.format(conversation=work.conversation) in said(done)
    assert (0, ["backup"]) == (done.returncode, work.homes)
    assert vm.tmux_socket.exists()
    work.assert_one_writer_of_all_turns()


@pytest.mark.thorough
def test_switch_that_cannot_have_the_socket_back_ends_nothing(vm: Vm) -> None:
    """Where it stood something else is now, which the launcher did not make."""
    work = Work(vm)
    pid = work.up()
    vm.tmux_socket.unlink()
    vm.tmux_socket.mkdir()
    try:
        done = vm.run("switch", "work", "backup")
        assert 0 != done.returncode
        assert [pid] == work.pids, said(done)
        assert ["primary"] == work.homes
    finally:
        vm.tmux_socket.rmdir()


@pytest.mark.thorough
def test_up_brings_the_socket_back_and_starts_what_does_not_run(vm: Vm) -> None:
    work = Work(vm)
    os.kill(work.up(), signal.SIGKILL)
    wait_until(lambda: not work.pids, "the client is dead")
    vm.tmux_socket.unlink()
    done = vm.run("up")
    assert 1 == sum(line.startswith(STARTED) for line in said(done)), said(done)
    assert (0, 1) == (done.returncode, len(work.pids))
    assert 1 == len(vm.tmux_servers())
    work.assert_one_writer_of_all_turns()


@pytest.mark.thorough
def test_server_that_holds_no_session_does_not_keep_up_from_starting_one(vm: Vm) -> None:
    """A cleaner of ``/tmp`` comes between the start of a server and that of its first session.

    tmux starts a second server for the session then. Only one of the two can have the socket, so
    that signals to bring it back would only change which one is lost.
    """
    work = Work(vm)
    os.kill(work.up(), signal.SIGKILL)
    wait_until(lambda: not work.pids, "the client is dead")
    socket = vm.tmux_socket
    away = socket.rename(socket.with_name(f"{socket.name}.away"))
    label = ["tmux", "-L", socket.name, "-f", "/dev/null"]
    empty = [*label, "start-server", ";", "set-option", "-s", "exit-empty", "off"]
    subprocess.run(empty, env=vm.environ, check=True)
    away.rename(socket)  # that of the server with the session
    assert 2 == len(vm.tmux_servers())
    done = vm.run("up")
    assert 1 == sum(line.startswith(STARTED) for line in said(done)), said(done)
    assert (0, 1) == (done.returncode, len(work.pids))
    work.assert_one_writer_of_all_turns()
