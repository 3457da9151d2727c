"""Every command of docs/fleet.md is run, and shows what the page shows; what it names is there."""

from __future__ import annotations

import re
import sys

from launcher.fleet.source import LIMIT
from tests.fleet.fetched import Fetched
from tests.test_prometheus_deploy import RULES
from tests.test_readme import Shell, steps
from tests.vm import CHECKOUT, Vm

TEXT = (CHECKOUT / "docs" / "fleet.md").read_text()


def normalized(text: str, home: str) -> str:
    """Put what differs from run to run as the page has it."""
    text = text.replace(home, "/home/me")
    text = re.sub(r"(  +)\d\d s  ", r"\g<1>20 s  ", text)
    text = re.sub(r"it is 72\d\d s old", "it is 7200 s old", text)
    text = re.sub(r"oldest=[\d.]+s", "oldest=7200s", text)
    text = re.sub(r"(_timestamp_seconds\S*) [\d.e+]+", r"\1 1.7e+09", text)
    text = re.sub(r'"at": [\d.]+', '"at": 1700000000.0', text)
    return text.rstrip()


def test_commands_of_the_page_show_what_it_shows(vm: Vm) -> None:
    home = vm.user_home
    fetched = Fetched(home / "reports")
    for name, kind in {
        "vm-01": "green",
        "vm-02": "red",
        "vm-03": "red",
        "vm-04": "session",
    }.items():
        fetched.add(name, kind, 20)
    fetched.write(fetched.path("vm-05"), '{"failover": {"schema": 1')
    fetched.add("vm-06", "green", 7200)
    (home / "hosts.txt").write_text("".join(f"vm-{number:02}\n" for number in range(1, 8)))
    (home / "bin").mkdir()
    launcher = home / "bin" / "launcher"
    launcher.write_text(f'#!/bin/sh\nexec {sys.executable} -m launcher "$@"\n')
    launcher.chmod(0o755)
    with Shell({**vm.environ, "PATH": f"{home / 'bin'}:{vm.environ['PATH']}"}) as shell:
        for step in steps(TEXT):
            output = shell.run(step.command)
            assert normalized(step.output, str(home)) == normalized(output, str(home)), step.command
    assert (home / "fleet.html").read_text().startswith("<!doctype html>")


def test_page_shows_every_form() -> None:
    commands = " ".join(step.command for step in steps(TEXT))
    for option in ("--expect", "--format nagios", "--format prometheus", "--html", "--json"):
        assert option in commands


def test_page_says_what_to_do_for_every_alert() -> None:
    table = TEXT.partition("## An alert at night")[2].partition("\n## ")[0]
    named = set(re.findall(r"`…(\w+)`", table))
    for alert in re.findall(r"- alert: ClaudeFailover(\w+)", RULES):
        assert {alert, alert.removeprefix("Fleet")} & named, alert
    assert {f"ClaudeFailover{name}" for name in named} <= set(re.findall(r"alert: (\w+)", RULES))


def test_files_and_numbers_of_the_page_are_there() -> None:
    for path in re.findall(r"deploy/prometheus/[\w./-]+\w", TEXT):
        assert (CHECKOUT / path).exists(), path
    assert f"larger than {LIMIT / 1e6:.0f} MB" in TEXT


def test_shell_blocks_of_the_page_are_a_shells(vm: Vm) -> None:
    for block in re.findall(r"^```sh\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL):
        with Shell(vm.environ) as shell:
            assert "" == shell.run(f"bash -n <<'END'\n{block}END").strip()
