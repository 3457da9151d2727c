"""Every command of the README is run, in its order, and shows what the README shows."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from launcher.errors import ExitCode
from tests.vm import CHECKOUT, Vm, tmux_socket

README = (CHECKOUT / "README.md").read_text()


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
    (programs / "claude").write_text("#!/bin/sh\nexec sleep 600\n")
    (programs / "claude").chmod(0o755)
    for name in ("launcher", "pytest"):
        module = f"{sys.executable} -m {name}"
        cache = " -p no:cacheprovider" if name == "pytest" else ""
        (programs / name).write_text(f'#!/bin/sh\nexec {module} "$@"{cache}\n')
        (programs / name).chmod(0o755)
    environ = {**vm.environ, "PATH": f"{programs}:{vm.environ['PATH']}"}
    shell = subprocess.Popen(
        ["bash"],
        env=environ,
        cwd=CHECKOUT,
        text=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    assert shell.stdin is not None
    assert shell.stdout is not None
    try:
        for step in steps(README):
            if step.command.startswith("make "):
                continue  # CI runs both, on a fresh clone
            shell.stdin.write(f"{step.command}\n(code=$?; echo; echo __end__; exit $code)\n")
            shell.stdin.flush()
            lines = list(iter(shell.stdout.readline, "__end__\n"))
            output = "".join(lines)
            assert normalized(step.output, str(home)) == normalized(output, str(home)), step.command
    finally:
        shell.stdin.close()
        shell.wait(30)
        shell.stdout.close()


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
