"""Every command of the README is run, in its order, and shows what the README shows."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import IO, NamedTuple, Self, cast

import pytest

from launcher.errors import ExitCode
from tests import client
from tests.vm import CHECKOUT, Vm, tmux_socket

README = (CHECKOUT / "README.md").read_text()
CLAUDE = """#!/bin/sh
state=$CLAUDE_CONFIG_DIR/.claude.json
[ -e "$state" ] && exec sleep 600
trust='{"hasCompletedOnboarding": true, "projects": {"%s": {"hasTrustDialogAccepted": true}}}'
umask 077
printf "$trust" "$(pwd -P)" >"$state"
login='{"claudeAiOauth": {"accessToken": "%s", "scopes": ["user:inference"]}}'
printf "$login" "$CLAUDE_CONFIG_DIR" >"$CLAUDE_CONFIG_DIR/.credentials.json"
"""
"""A stand-in for Claude Code whose first start in a home is answered."""


class Step(NamedTuple):
    """A command with its here-document, and what the README shows of its output."""

    command: str
    output: str


def steps(text: str) -> list[Step]:
    found: list[Step] = []
    for block in re.findall(r"^```console\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            first, *lines = part.splitlines()
            typed = [line[1:].removeprefix(" ") for line in lines if line.startswith(">")]
            shown = [line for line in lines if not line.startswith(">")]
            found.append(Step("\n".join([first, *typed]), "\n".join(shown)))
    return found


class Shell:
    """A bash that is told one command after another, as by a person at a terminal."""

    def __init__(self, environ: dict[str, str], limit: int = 120) -> None:
        """Start it in the checkout; all commands together have *limit* seconds (timeout(1))."""
        self._bash = subprocess.Popen(
            ["timeout", "-s", "KILL", str(limit), "bash"],
            env=environ,
            cwd=CHECKOUT,
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        self._input, self._output = (
            cast(IO[str], self._bash.stdin),
            cast(IO[str], self._bash.stdout),
        )

    def run(self, command: str) -> str:
        """Run *command* to its end and return its output; fail where the shell does not live on."""
        self._input.write(f"{command}\n(code=$?; echo; echo __end__; exit $code)\n")
        self._input.flush()
        output = ""
        for line in self._output:
            if line == "__end__\n":
                return output
            output += line
        raise AssertionError(f"the shell is gone, or was too slow, at {command!r}: {output}")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._input.close()
        self._bash.wait()
        self._output.close()


@pytest.mark.parametrize("command", ["exit 3", "kill -9 $$", "sleep 600"])
def test_shell_that_does_not_live_on_is_a_failure(vm: Vm, command: str) -> None:
    failure = pytest.raises(AssertionError, match=r"the shell is gone, or was too slow, at .*")
    with Shell(vm.environ, limit=1) as shell:
        assert "1\n\n" == shell.run("echo 1")
        with failure:
            shell.run(command)


def normalized(text: str, home: str) -> str:
    """Put what differs from run to run and from user to user as the README has it."""
    text = text.replace(home, "/home/me")
    text = re.sub(
        r"/tmp/tmux-\d+/claude-failover(-[0-9a-f]{8})?", "/tmp/tmux-1000/claude-failover", text
    )
    text = re.sub(r"\d+\.\d\d ?s\b", "0.00 s", text)
    return re.sub(r"\d+ s ago", "1 s ago", text).rstrip()


@pytest.mark.skipif(shutil.which("tmux") is None, reason="the README shows tmux")
def test_commands_of_the_readme_show_what_it_shows(vm: Vm) -> None:
    home = vm.user_home
    programs = home / "bin"
    programs.mkdir()
    (home / ".local" / "share").mkdir(parents=True)  # where it was installed
    client.put(programs / "claude", CLAUDE)
    for name in ("launcher", "pytest"):
        module = f"{sys.executable} -m {name}"
        cache = " -p no:cacheprovider" if name == "pytest" else ""
        (programs / name).write_text(f'#!/bin/sh\nexec {module} "$@"{cache}\n')
        (programs / name).chmod(0o755)
    environ = {**vm.environ, "PATH": f"{programs}:{vm.environ['PATH']}"}
    with Shell(environ) as shell:
        for step in steps(README):
            if step.command.startswith("make "):
                continue  # CI runs both, on a fresh clone
            output = shell.run(step.command)
            assert normalized(step.output, str(home)) == normalized(output, str(home)), step.command


@pytest.mark.thorough
def test_installation_of_the_readme_can_be_pasted(tmp_path: Path) -> None:
    """In a fresh checkout and an empty home, with what the registry has for pip."""
    block = "".join(re.findall(r"^```sh\n(.*?)^```$", README, re.MULTILINE | re.DOTALL))
    home, programs, checkout = tmp_path / "home", tmp_path / "programs", tmp_path / "checkout"
    for directory in (home, programs):
        directory.mkdir()
    python = programs / "python3"  # this one, whichever the machine has in its PATH
    python.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    python.chmod(0o755)
    made = shutil.ignore_patterns(".git", ".venv*", ".*_cache", ".coverage*", "__pycache__", "vm")
    shutil.copytree(CHECKOUT, checkout, ignore=made)
    environ = {**os.environ, "HOME": str(home), "PATH": f"{programs}:{os.environ['PATH']}"}
    pasted = subprocess.run(
        ["sh", "-e"],
        input=block,
        env=environ,
        cwd=checkout,
        text=True,
        capture_output=True,
        check=False,
        timeout=300,
    )
    assert 0 == pasted.returncode, pasted.stdout + pasted.stderr
    launcher = [str(home / ".local" / "bin" / "launcher"), "--version"]
    version = subprocess.check_output(launcher, env=environ, cwd="/", text=True)
    assert version.startswith("claude-failover ")


def test_readme_has_commands_to_run() -> None:
    assert 19 <= len(steps(README))


def test_readme_names_every_exit_code_and_every_verb() -> None:
    from launcher.verbs import VERBS

    for code in ExitCode:
        assert f"| {code} | " in README
    for verb in VERBS:
        assert f"| `launcher {verb}" in README


def test_readme_opens_with_two_commands_for_a_fresh_machine() -> None:
    assert ["make run", "make test"] == [step.command for step in steps(README)[:2]]


def test_example_of_the_readme_runs(tmp_path: Path) -> None:
    """``make run``, on a copy: red first, then provisioned, then green with sessions running."""
    shutil.copytree(
        CHECKOUT / "examples", tmp_path / "examples", ignore=shutil.ignore_patterns("vm")
    )
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "launcher"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m launcher "$@"\n')
    program.chmod(0o755)
    run = [str(tmp_path / "examples" / "run"), str(tmp_path / "bin")]
    environ = {**os.environ, "CLAUDE_FAILOVER_INVENTORY": str(tmp_path / "examples/failover.toml")}
    try:
        for _ in range(2):  # again, over what the first run left
            output = subprocess.check_output(run, text=True, env=environ)
            verdicts = re.findall(r"^(red|green): ", output, re.MULTILINE)
            assert ["red", "green"] == verdicts
            assert 2 == output.count("  running  ") == output.count("  started  ")
    finally:
        subprocess.run([program, "down"], env=environ, check=True, stdout=subprocess.DEVNULL)
        tmux_socket(tmp_path / "examples" / "vm" / "state").unlink(missing_ok=True)


def test_example_is_not_removed_where_its_sessions_could_not_be_stopped(tmp_path: Path) -> None:
    examples, program = tmp_path / "examples", tmp_path / "launcher"
    shutil.copytree(CHECKOUT / "examples", examples, ignore=shutil.ignore_patterns("vm"))
    (examples / "vm").mkdir()
    (examples / "vm" / "precious").touch()
    program.write_text("#!/bin/sh\nexit 69\n")
    program.chmod(0o755)
    run = [str(examples / "run"), str(tmp_path)]
    done = subprocess.run(run, text=True, capture_output=True, check=False)
    assert (69, "", "") == (done.returncode, done.stdout, done.stderr)
    assert (examples / "vm" / "precious").exists()
