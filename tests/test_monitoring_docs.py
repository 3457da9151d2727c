"""Every command of docs/monitoring.md is run, and shows what the page shows."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from launcher.formats import FORMATS
from tests.test_readme import Shell, steps
from tests.vm import CHECKOUT, Vm

PAGE = CHECKOUT / "docs" / "monitoring.md"
TEXT = PAGE.read_text()
INVENTORY = """\
[shared]
root = "~/.local/share/claude-shared"
[[accounts]]
name = "primary"
home = "~/.claude-primary"
[[accounts]]
name = "backup"
home = "~/.claude-backup"
"""


def normalized(text: str, home: str) -> str:
    """Put what differs from run to run as the page has it."""
    text = text.replace(home, "/home/me")
    text = re.sub(r"\bage=[\d.]+s", "age=1s", text)
    text = re.sub(r"\bduration=[\d.]+s", "duration=0.250s", text)
    text = re.sub(r"(_timestamp_seconds\S*) [\d.e+]+", r"\1 1.7e+09", text)
    text = re.sub(r"(_duration_seconds\S*) [\d.e-]+", r"\1 0.25", text)
    text = re.sub(r"on `[^`]+`", "on `vm-7`", text)
    return text.rstrip()


def test_commands_of_the_page_show_what_it_shows(vm: Vm) -> None:
    home = vm.user_home
    programs = home / "bin"
    config = home / ".config" / "claude-failover"
    for directory in (programs, config, home / ".claude-primary", home / ".claude-backup"):
        directory.mkdir(mode=0o700, parents=True)
    (config / "failover.toml").write_text(INVENTORY)
    launcher = programs / "launcher"
    launcher.write_text(f'#!/bin/sh\nexec {sys.executable} -m launcher "$@"\n')
    launcher.chmod(0o755)
    environ = {**vm.environ, "PATH": f"{programs}:{vm.environ['PATH']}"}
    with Shell(environ) as shell:
        shell.run("launcher ensure")
        for step in steps(TEXT):
            output = shell.run(step.command)
            assert normalized(step.output, str(home)) == normalized(output, str(home)), step.command


def test_page_names_every_format_and_shows_those_of_the_report() -> None:
    shown = [step.command for step in steps(TEXT)]
    for name in FORMATS:
        assert f"| `{name}` | " in TEXT
        assert any(f"--format {name}" in command for command in shown)


def test_inventory_of_the_page_is_one(tmp_path: Path) -> None:
    (block,) = re.findall(r"^```toml\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
    assert tomllib.loads(block)["launcher"]["prometheus"].endswith(".prom")


@pytest.mark.skipif(shutil.which("promtool") is None, reason="needs promtool (Debian: prometheus)")
def test_rules_of_the_page_are_taken_by_promtool(tmp_path: Path) -> None:
    (block,) = re.findall(r"^```yaml\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
    rules = tmp_path / "rules.yml"
    rules.write_text(block)
    check = ["promtool", "check", "rules", str(rules)]
    done = subprocess.run(check, text=True, capture_output=True, check=False)
    assert (0, True) == (done.returncode, "4 rules found" in done.stdout), done.stderr


def test_numbers_of_the_listener_are_those_of_the_page() -> None:
    from launcher.listen import server

    told = f"{server.THREADS} threads, {server.CONNECTIONS} connections, {server.LIFETIME} seconds"
    assert told in TEXT
    assert f"{server.HEADER_BYTES // 1024} KB of a request" in TEXT
