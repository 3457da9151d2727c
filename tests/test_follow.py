"""``status --follow``: in a real terminal, tmux's, and cut to its size."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from launcher.follow import fitted
from tests.vm import Vm, wait_until


class Terminal:
    """A terminal of tmux's on a private socket, in which a shell runs."""

    def __init__(self, vm: Vm) -> None:
        self._tmux = ["tmux", "-S", str(vm.root / "t"), "-f", "/dev/null"]
        self._environ = vm.environ
        self.run("new-session", "-d", "-x", "90", "-y", "20", "env PS1='$ ' sh")

    def run(self, *words: str) -> str:
        return subprocess.run(
            [*self._tmux, *words], env=self._environ, text=True, check=True, capture_output=True
        ).stdout

    def type(self, line: str) -> None:
        self.run("send-keys", line, "Enter")

    def screen(self) -> str:
        return self.run("capture-pane", "-p")

    def shows(self, text: str) -> None:
        wait_until(lambda: text in self.screen(), f"the terminal shows {text!r}")


@pytest.fixture
def terminal(vm: Vm) -> Iterator[Terminal]:
    if shutil.which("tmux") is None:
        pytest.skip("needs tmux for a terminal")
    made = Terminal(vm)
    yield made
    made.run("kill-server")


def test_follow_draws_again_what_has_changed(vm: Vm, terminal: Terminal) -> None:
    vm.run("check")
    terminal.type(
        f"{sys.executable} -m launcher --inventory {vm.inventory} status --follow; echo rc=$?"
    )
    terminal.shows("backup   ok    shared       shared        shared")
    assert "rc=" not in terminal.screen()
    vm.diverge()
    terminal.shows("backup   ok    shared       shared        divergent")
    terminal.run("resize-window", "-x", "40", "-y", "4")
    terminal.shows(" more lines")
    assert "backup   ok    shared       shared     …" in terminal.screen().splitlines()
    terminal.run("resize-window", "-x", "90", "-y", "20")
    terminal.shows("last report: green")
    terminal.run("send-keys", "C-c")
    terminal.shows("rc=1")
    assert "divergent" not in terminal.screen()


def test_follow_needs_a_terminal(vm: Vm) -> None:
    done = vm.run("status", "--follow")
    assert (2, "") == (done.returncode, done.stdout)
    assert "standard output is none" in done.stderr


def test_other_signals_end_it_as_they_end_the_rest(vm: Vm, terminal: Terminal) -> None:
    pid = vm.root / "pid"
    program = f"{sys.executable} -m launcher --inventory {vm.inventory} status --follow"
    terminal.type(f"sh -c 'echo $$ > {pid}; exec {program}'; echo rc=$?")
    terminal.shows("last report: none")
    subprocess.run(["kill", "-TERM", Path(pid).read_text().strip()], check=True)
    terminal.shows("rc=143")
    terminal.shows("launcher: interrupted by SIGTERM")


@pytest.mark.parametrize(
    ("line", "columns", "shown"),
    [
        ("short", 5, "short"),
        ("longer", 5, "long…"),
        ("\x1b[31mred\x1b[0m", 3, "\x1b[31mred\x1b[0m"),
        ("\x1b[31mscarlet\x1b[0m", 4, "\x1b[31msca…\x1b[0m"),
        ("a \x1b[1mb\x1b[0m c d", 5, "a \x1b[1mb\x1b[0m …\x1b[0m"),
    ],
)
def test_line_is_cut_to_the_screen_and_its_colour_ends(line: str, columns: int, shown: str) -> None:
    assert [shown] == fitted([line], columns, 9)
