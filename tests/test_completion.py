"""Completion, driven as the shells drive it: what a TAB offers in bash, zsh and fish."""

from __future__ import annotations

import os
import pty
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from launcher.cli import main, parser
from launcher.completion import SHELLS, script
from launcher.verbs import VERBS
from tests.vm import Vm

BASH = """
source {script}
COMP_WORDS=({words})
COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
COMP_LINE="${{COMP_WORDS[*]}}" COMP_POINT=${{#COMP_LINE}} COMP_TYPE=9
function=$(complete -p launcher | sed 's/.*-F \\([^ ]*\\).*/\\1/')
$function launcher "${{COMP_WORDS[COMP_CWORD]}}" "${{COMP_WORDS[COMP_CWORD-1]}}"
printf '%s\\n' "${{COMPREPLY[@]}}"
"""
Complete = Callable[..., set[str]]


class Shells:
    """A directory with the program and the scripts, and a way to press TAB in each shell."""

    def __init__(self, vm: Vm) -> None:
        self.vm = vm
        self.directory = vm.root / "bin"
        self.directory.mkdir()
        program = self.directory / "launcher"
        program.write_text(f'#!/bin/sh\nexec {sys.executable} -m launcher "$@"\n')
        program.chmod(0o755)
        self.environ = {
            **vm.environ,
            "PATH": f"{self.directory}:{os.environ['PATH']}",
            "PYTHONPATH": str(Path(__file__).parents[1]),
            "CLAUDE_FAILOVER_INVENTORY": str(vm.inventory),
            "TERM": "dumb",
        }
        for shell in SHELLS:
            (self.directory / shell).write_text(script(parser(), shell))

    def bash(self, *words: str) -> set[str]:
        text = BASH.format(
            script=self.directory / "bash", words=" ".join(f"'{word}'" for word in words)
        )
        return self._lines(["bash", "--norc", "-c", text])

    def fish(self, *words: str) -> set[str]:
        line = " ".join(words)
        text = f"source {self.directory}/fish; complete -C '{line}'"
        return {found.split("\t")[0] for found in self._lines(["fish", "-N", "-c", text])}

    def _lines(self, command: list[str]) -> set[str]:
        result = subprocess.run(
            command, env=self.environ, cwd=self.vm.root, capture_output=True, text=True, check=False
        )
        assert "" == result.stderr
        return {line.strip() for line in result.stdout.splitlines() if line.strip()}

    def zsh(self, line: str, expected: str, by: str) -> None:
        """Type *line* and TAB in a zsh on a terminal; wait until *expected* stands there."""
        pid, terminal = pty.fork()
        if pid == 0:
            os.chdir(self.vm.root)
            os.execvpe("zsh", ["zsh", "-f", "-i"], self.environ)
        try:
            setup = "autoload -U compinit; compinit -D -u; PS1=:\n"
            if by == "fpath":
                (self.directory / "_launcher").write_text(script(parser(), "zsh"))
                setup = f"fpath=({self.directory} $fpath); {setup}"
            else:
                setup += f'eval "$(<{self.directory}/zsh)"\n'
            os.write(terminal, setup.encode() + b"echo rea''dy\n")
            seen = self._until(terminal, "ready", "")
            os.write(terminal, line.encode() + b"\t")
            self._until(terminal, expected, seen)
        finally:
            os.close(terminal)
            os.kill(pid, 9)
            os.waitpid(pid, 0)

    @staticmethod
    def _until(terminal: int, expected: str, before: str) -> str:
        seen, until = "", time.monotonic() + 20
        while expected not in seen.replace(before, ""):
            left = until - time.monotonic()
            assert left > 0, f"{expected!r} is not in {seen!r}"
            if select.select([terminal], [], [], left)[0]:
                seen += os.read(terminal, 4096).decode(errors="replace")
        return seen


@pytest.fixture
def shells(vm: Vm) -> Shells:
    """Return shells on a VM with two accounts, three links and the session ``api``."""
    vm.write({"api": ["sleep", "600"]})
    return Shells(vm)


@pytest.fixture(params=["bash", "fish"])
def complete(request: pytest.FixtureRequest, shells: Shells) -> Complete:
    """Return what a TAB offers behind some words, the last of which is being typed."""
    if shutil.which(request.param) is None:
        pytest.skip(f"{request.param} is not installed")
    press: Complete = getattr(shells, request.param)
    return press


def test_verbs_options_and_names_are_offered(complete: Complete) -> None:
    assert set(VERBS) == complete("launcher", "")
    assert {"ensure", "explain"} == complete("launcher", "e")
    assert {"--dry-run"} == complete("launcher", "ensure", "--d")
    assert {"primary", "backup"} == complete("launcher", "ensure", "")
    assert {"api"} == complete("launcher", "down", "")
    assert set(SHELLS) == complete("launcher", "completion", "")


def test_each_argument_gets_its_own_names(complete: Complete) -> None:
    assert {"backup"} == complete("launcher", "adopt", "b")
    assert {"session-env", "file-history", "projects"} == complete(
        "launcher", "adopt", "backup", ""
    )
    assert {"two-writers"} == complete("launcher", "explain", "two")


def test_names_come_from_the_inventory_that_the_line_names(
    complete: Complete, shells: Shells
) -> None:
    other = shells.vm.root / "other.toml"
    text = shells.vm.inventory.read_text().replace('"backup"', '"second"')
    other.write_text(text)
    other.chmod(0o600)
    expected = {"primary", "second"}
    assert expected == complete("launcher", "--inventory", str(other), "ensure", "")


def test_a_wrong_inventory_offers_nothing_and_says_nothing(
    complete: Complete, shells: Shells
) -> None:
    shells.vm.inventory.write_text("")
    assert set() == complete("launcher", "down", "")
    assert set(VERBS) == complete("launcher", "")


@pytest.mark.skipif(shutil.which("zsh") is None, reason="zsh is not installed")
@pytest.mark.parametrize(
    ("line", "expected", "by"),
    [
        ("launcher ado", "launcher adopt ", "eval"),
        ("launcher ensure --create", "launcher ensure --create-homes", "eval"),
        ("launcher down a", "launcher down api", "eval"),
        ("launcher adopt backup pro", "launcher adopt backup projects", "fpath"),
    ],
)
@pytest.mark.sampled(2)
def test_zsh_completes_a_line(shells: Shells, line: str, expected: str, by: str) -> None:
    shells.zsh(line, expected, by)


@pytest.mark.skipif(shutil.which("zsh") is None, reason="zsh is not installed")
def test_zsh_takes_the_names_of_the_inventory_that_the_line_names(shells: Shells) -> None:
    text = shells.vm.inventory.read_text().replace('"backup"', '"second"')
    shells.vm.inventory.with_name("other.toml").write_text(text)
    shells.vm.inventory.with_name("other.toml").chmod(0o600)
    line = "launcher --inventory other.toml ensure se"
    shells.zsh(line, f"{line}cond", "eval")


@pytest.mark.parametrize("shell", SHELLS)
def test_scripts_are_printed(capfd: pytest.CaptureFixture[str], shell: str) -> None:
    assert 0 == main(["completion", shell])
    out = capfd.readouterr().out
    assert script(parser(), shell) == out
    assert all(verb in out for verb in VERBS)


def test_without_a_shell_or_with_another_it_is_usage(capfd: pytest.CaptureFixture[str]) -> None:
    assert 2 == main(["completion"])
    assert "for which shell? bash, zsh, fish" in capfd.readouterr().err
    with pytest.raises(SystemExit):
        main(["completion", "tcsh"])


def test_names_are_printed_one_a_line(vm: Vm, capfd: pytest.CaptureFixture[str]) -> None:
    vm.write({"api": ["sleep", "1"]})
    for kind, first in (("accounts", "primary"), ("links", "session-env"), ("sessions", "api")):
        assert 0 == main(["--inventory", str(vm.inventory), "completion", "--names", kind])
        assert first == capfd.readouterr().out.splitlines()[0]
    none = str(vm.root / "none.toml")
    assert 0 == main(["--inventory", none, "completion", "--names", "accounts"])
    assert ("", "") == capfd.readouterr()
    assert 0 == main(["completion", "--names", "words"])
    assert "divergent\n" in capfd.readouterr().out
