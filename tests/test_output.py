"""Output that goes nowhere, and what of a verb it must not change."""

from __future__ import annotations

import array
import fcntl
import json
import os
import signal
import subprocess
import sys
import termios
from contextlib import suppress
from typing import IO

import pytest

from tests.vm import Vm, wait_until

SESSION = {"work": ["sh", "-c", "echo words of the session; exec sleep 300"]}


@pytest.fixture
def green(vm: Vm) -> Vm:
    """Return a VM whose gate is green."""
    vm.write(SESSION)
    return vm


def shell(vm: Vm, redirection: str, *arguments: str) -> tuple[int, str]:
    """Run the launcher with its descriptors redirected by a shell; return its code and errors."""
    launcher = ["sh", "-c", f'exec "$@" {redirection}', "sh"]
    done = vm.run(*arguments, prefix=launcher)
    return done.returncode, done.stderr or ""


def test_result_goes_to_standard_output_and_nothing_else_does(green: Vm) -> None:
    done = green.run("check", "--json")
    assert ("green", "") == (json.loads(done.stdout)["verdict"], done.stderr)
    refused = green.run("down", "nobody")
    assert (2, "", "launcher: there is no session nobody; there are work\n") == (
        refused.returncode,
        refused.stdout,
        refused.stderr,
    )


@pytest.mark.parametrize("redirection", [">&-", "<&-", "2>&-", "<&- >&-", "<&- >&- 2>&-"])
@pytest.mark.thorough
def test_missing_descriptors_change_nothing(green: Vm, redirection: str) -> None:
    """A file that took the place of one would be written as output, or end as a session's."""
    assert (0, "") == shell(green, redirection, "up")
    assert "green" == green.report["verdict"]
    assert ["started"] == [session["state"] for session in green.report["sessions"]]
    log = green.state / "sessions" / "work.log"
    wait_until(lambda: log.read_text() == "words of the session\n", "the session writes its log")
    assert (green.state / "lock").read_text().startswith("pid ")
    assert 1 == len((green.state / "lock").read_text().splitlines())
    green.diverge()
    assert 1 == shell(green, redirection, "check")[0]
    assert "red" == green.report["verdict"]


def test_reader_that_went_away_changes_nothing(green: Vm) -> None:
    for verdict in (0, 1):
        reader, writer = os.pipe()
        os.close(reader)
        with open(writer, "wb") as pipe:
            done = green.run("check", stdout=pipe, stderr=subprocess.PIPE)
        assert (verdict, "") == (done.returncode, done.stderr)
        green.diverge()


def test_full_output_is_not_green(green: Vm) -> None:
    told = "launcher: the result could not be printed: No space left on device\n"
    with open("/dev/full", "w") as full:
        done = green.run("check", stdout=full, stderr=subprocess.PIPE)
        assert (70, told) == (done.returncode, done.stderr)
        assert "green" == green.report["verdict"]
        green.diverge()
        done = green.run("check", stdout=full, stderr=subprocess.PIPE)
        assert (1, told) == (done.returncode, done.stderr)


def test_full_standard_error_changes_nothing(green: Vm) -> None:
    with open("/dev/full", "w") as full:
        done = green.run("down", "nobody", stdout=subprocess.PIPE, stderr=full)
    assert (2, "") == (done.returncode, done.stdout)


@pytest.mark.parametrize("locale", ["C.UTF-8", "C", "POSIX"])
def test_text_that_the_output_cannot_hold_is_spelled_out(green: Vm, locale: str) -> None:
    environ = {"LC_ALL": locale, "PYTHONIOENCODING": "" if "UTF" in locale else "ascii"}
    done = green.run("down", "né", environ={**environ, "PYTHONUTF8": "1"})
    name = "né" if "UTF" in locale else "n\\xe9"
    assert (2, f"launcher: there is no session {name}; there are work\n") == (
        done.returncode,
        done.stderr,
    )


def test_large_result_arrives_whole_through_a_slow_pipe(green: Vm) -> None:
    green.write({f"work{number:03}": ["sleep", "300"] for number in range(800)})
    command = [sys.executable, "-m", "launcher", "--inventory", str(green.inventory)]
    with subprocess.Popen(
        [*command, "status", "--json"], env=green.environ, cwd=green.root, stdout=subprocess.PIPE
    ) as launcher:
        assert launcher.stdout is not None
        content = b""
        while chunk := os.read(launcher.stdout.fileno(), 1000):
            content += chunk
    assert 800 == len(json.loads(content)["sessions"])
    assert 64 * 1024 < len(content)


def test_result_arrives_whole_though_a_signal_comes_in_between(green: Vm) -> None:
    green.write({f"work{number:03}": ["sleep", "300"] for number in range(800)})
    command = [sys.executable, "-m", "launcher", "--inventory", str(green.inventory)]
    with subprocess.Popen(
        [*command, "status", "--json"], env=green.environ, cwd=green.root, stdout=subprocess.PIPE
    ) as launcher:
        assert launcher.stdout is not None
        waiting = fcntl.fcntl(launcher.stdout, fcntl.F_GETPIPE_SZ)
        wait_until(lambda: readable(launcher.stdout) == waiting, "the pipe is full")
        launcher.send_signal(signal.SIGHUP)
        assert 800 == len(json.loads(launcher.stdout.read())["sessions"])


def readable(pipe: IO[bytes] | None) -> int:
    """Return how many bytes wait in a pipe."""
    assert pipe is not None
    count = array.array("i", [0])
    fcntl.ioctl(pipe, termios.FIONREAD, count)
    return count[0]


def test_missing_descriptors_are_made(green: Vm) -> None:
    """Else a file or a pipe of the launcher's would take the place of one."""
    green.write(SESSION, settle=30)
    shell = ["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", sys.executable, "-m", "launcher"]
    command = [*shell, "--inventory", str(green.inventory), "up"]
    with subprocess.Popen(command, env=green.environ, cwd=green.root) as launcher:
        wait_until(green.report_path.exists, "the launcher is at work")
        opened = [os.readlink(f"/proc/{launcher.pid}/fd/{number}") for number in range(3)]
        launcher.terminate()
    assert [os.devnull] * 3 == opened


def test_reader_of_the_first_line_hangs_nobody(green: Vm) -> None:
    green.write({f"work{number:03}": ["sleep", "300"] for number in range(800)})
    command = [sys.executable, "-m", "launcher", "--inventory", str(green.inventory)]
    with subprocess.Popen(
        [*command, "status", "--json"], env=green.environ, cwd=green.root, stdout=subprocess.PIPE
    ) as launcher:
        assert launcher.stdout is not None
        assert b"{\n" == launcher.stdout.readline()
        with suppress(BrokenPipeError):
            launcher.stdout.close()
        assert 70 == launcher.wait(20)  # there is no report yet
