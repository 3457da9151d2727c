"""Reports on standard input, one a line."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from benchmarks.fleets import report
from launcher.fleet.source import LIMIT
from tests.fleet.fetched import Answer, Caller
from tests.vm import CHECKOUT


def line(vm: str, kind: str = "green") -> str:
    return json.dumps(report(vm, kind, time.time() - 5)) + "\n"


@contextmanager
def standard_input(path: Path | str) -> Iterator[None]:
    """Let this process read *path* as its standard input."""
    kept, opened = os.dup(0), os.open(path, os.O_RDONLY)
    os.dup2(opened, 0)
    os.close(opened)
    try:
        yield
    finally:
        os.dup2(kept, 0)
        os.close(kept)


@pytest.fixture
def piped(call: Caller, tmp_path: Path) -> Callable[[str], Answer]:
    """Return what calls ``fleet`` with a text on standard input."""

    def answer(content: str) -> Answer:
        path = tmp_path / "input"
        path.write_text(content)
        with standard_input(path):
            return call(paths=["-"])

    return answer


def test_reports_come_one_a_line(piped: Callable[[str], Answer]) -> None:
    answer = piped(line("vm-1") + "\n" + line("vm-2", "red") + line("vm-3").rstrip("\n"))
    assert 1 == answer.code
    assert ["red      vm-2", "green    vm-1", "green    vm-3"] == [
        answer.line(vm)[:13] for vm in ("vm-2", "vm-1", "vm-3")
    ]


def test_torn_line_is_told_of_and_the_others_are_read(piped: Callable[[str], Answer]) -> None:
    answer = piped(line("vm-1") + '{"failover": {"sch\n' + line("vm-2"))
    assert 70 == answer.code
    assert "standard input, line 2: it is torn, or no report" in answer.text
    assert "1 of 3 VMs is unknown, 2 green" in answer.text


def test_line_that_only_looks_whole_is_told_of(piped: Callable[[str], Answer]) -> None:
    answer = piped('{"failover": {"schema": 1}\n{"failover": }\n')
    assert 70 == answer.code
    assert "standard input, line 1: it is torn" in answer.text
    assert "standard input, line 2: it is torn" in answer.text


def test_lines_that_are_no_reports_are_told_of_together(piped: Callable[[str], Answer]) -> None:
    answer = piped(json.dumps(report("vm-1", "green", time.time()), indent=2))
    assert 70 == answer.code
    assert "standard input, lines 1 to " in answer.text
    assert "jq -c makes it one" in answer.text
    assert 70 == piped("vm-1 | CHANGED | rc=0 >>\n" + line("vm-1")).code


def test_blank_lines_are_nothing(piped: Callable[[str], Answer]) -> None:
    answer = piped("\n \n")
    assert 70 == answer.code
    assert "standard input: no report: nothing is in it" in answer.text


@pytest.mark.parametrize("path", ["/dev/null", "/"])
def test_nothing_on_standard_input_is_not_green(call: Caller, path: str) -> None:
    with standard_input(path):
        answer = call(paths=["-"])
    assert 70 == answer.code
    assert "standard input: " in answer.text


def test_standard_input_that_is_closed_is_not_green() -> None:
    command = f"{sys.executable} -m launcher fleet - <&-"
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, cwd=CHECKOUT)
    assert (70, "") == (done.returncode, done.stderr)
    assert "standard input: no report: nothing is in it" in done.stdout


def test_line_without_an_end_is_not_kept_in_memory(call: Caller, tmp_path: Path) -> None:
    path = tmp_path / "input"
    path.write_text(line("vm-1"))
    os.truncate(path, 3 * LIMIT)
    with standard_input(path):
        answer = call(paths=["-"])
    assert 70 == answer.code
    assert "standard input, after line 1: it cannot be read: a line is longer" in answer.text
    assert answer.line("vm-1").startswith("green")


@pytest.fixture
def waiting() -> Iterator[subprocess.Popen[str]]:
    """Start ``launcher fleet -`` on a pipe; what waits for it in vain sees it end."""
    command = [sys.executable, "-m", "launcher", "fleet", "-"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=CHECKOUT
    ) as process:
        limit = threading.Timer(30, process.kill)
        limit.start()
        yield process
        limit.cancel()
        process.kill()


def test_red_is_told_before_the_last_report_has_come(waiting: subprocess.Popen[str]) -> None:
    assert waiting.stdin is not None
    assert waiting.stdout is not None
    waiting.stdin.write(line("vm-1") + line("vm-2", "red"))
    waiting.stdin.flush()
    assert "vm" in waiting.stdout.readline()
    assert waiting.stdout.readline().startswith("red      vm-2 ")
    assert waiting.poll() is None
    waiting.stdin.write(line("vm-3"))
    waiting.stdin.close()
    assert waiting.stdout.readline().startswith("green    vm-1 ")
    assert waiting.stdout.readline().startswith("green    vm-3 ")
    waiting.stdout.read()
    assert 1 == waiting.wait()


def test_wait_for_standard_input_can_be_interrupted(waiting: subprocess.Popen[str]) -> None:
    assert waiting.stdout is not None
    assert waiting.stdout.readline()
    waiting.send_signal(signal.SIGINT)
    assert 130 == waiting.wait(20)
