"""The command line: every exit code, help, usage, and what goes where."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest

from launcher import lock
from launcher.cli import main
from launcher.errors import ExitCode
from tests.patching import patch
from tests.vm import Vm

VERBS = ["check", "up", "down", "status", "ensure"]


def test_code_0_green(vm: Vm) -> None:
    assert ExitCode.OK == vm.run("check").returncode


def test_code_1_red(vm: Vm) -> None:
    vm.diverge()
    assert ExitCode.RED == vm.run("check").returncode
    assert ExitCode.RED == vm.run("ensure").returncode


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["chekc"],
        ["check", "--dry-run"],
        ["up", "api"],
        ["ensure", "nobody"],
        ["down", "nobody"],
    ],
)
def test_code_2_usage(vm: Vm, arguments: list[str]) -> None:
    result = vm.run(*arguments)
    assert (ExitCode.USAGE, "") == (result.returncode, result.stdout)
    assert result.stderr


def test_code_69_session_is_not_up(vm: Vm) -> None:
    vm.write({"api": ["false"]}, settle=5)
    assert ExitCode.UNAVAILABLE == vm.run("up").returncode


def test_code_70_unknown(vm: Vm) -> None:
    vm.write(timeout=0.001)
    assert ExitCode.UNKNOWN == vm.run("check").returncode


@pytest.mark.parametrize("verb", [verb for verb in VERBS if verb != "status"])
def test_code_75_another_launcher_is_at_work(
    vm: Vm, verb: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(lock, "PATIENCE", 0.1)
    vm.state.mkdir()
    with open(vm.state / "lock", "w") as file:
        file.write("pid 4711, launcher adopt\n")
        file.flush()
        fcntl.flock(file, fcntl.LOCK_EX)
        assert ExitCode.LOCKED == main(["--inventory", str(vm.inventory), verb])
    said = f"launcher: another launcher is at work (pid 4711, launcher adopt): {vm.state}/lock: "
    printed = capfd.readouterr()
    assert ("", said, 1) == (printed.out, printed.err[: len(said)], printed.err.count("\n"))


def test_file_in_the_place_of_the_lock_is_not_overwritten(vm: Vm) -> None:
    vm.state.mkdir()
    (vm.state / "lock").write_text("precious")
    assert ExitCode.UNKNOWN == vm.run("ensure").returncode
    assert "precious" == (vm.state / "lock").read_text()


def test_status_needs_no_lock(vm: Vm) -> None:
    vm.run("check")
    with open(vm.state / "lock") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert 0 == vm.run("status").returncode


def test_dry_run_needs_no_lock_and_leaves_none(vm: Vm) -> None:
    assert 0 == vm.run("ensure", "--dry-run").returncode
    assert not vm.state.exists()


def test_code_78_wrong_inventory_with_all_its_problems(vm: Vm) -> None:
    vm.inventory.write_text('[shared]\nlinsk = 1\n[[accounts]]\nname = "a/b"\n')
    for verb in VERBS:
        result = vm.run(verb)
        assert (ExitCode.CONFIG, "") == (result.returncode, result.stdout)
        lines = [
            line.removeprefix(f"launcher: {vm.inventory}: ") for line in result.stderr.splitlines()
        ]
        assert ["shared.root", "shared.linsk", "accounts[0].name", "accounts[0].home"] == [
            line.split(":")[0] for line in lines
        ]


def test_code_78_what_this_locale_cannot_spell(vm: Vm) -> None:
    """Python would fall over its arguments at the start, behind a green gate."""
    vm.write({"api": ["sleep", "600", "café"]})
    plain = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    result = vm.run("up", environ=plain)
    words = "cannot be spelled in this locale (ascii): set LC_ALL=C.UTF-8"
    assert (78, f"launcher: {vm.inventory}: sessions[0].command[2]: {words}\n") == (
        result.returncode,
        result.stderr,
    )
    vm.write(report=str(vm.root / "é.json"))
    assert f"launcher.report: {words}\n" in vm.run("check", environ=plain).stderr


def test_code_78_missing_inventory_says_where_it_was_looked_for(vm: Vm) -> None:
    if Path("/etc/claude-failover/failover.toml").exists():
        pytest.skip("this machine has an inventory of its own")
    result = vm.run("check", inventory=False)
    assert ExitCode.CONFIG == result.returncode
    place = vm.user_home / ".config" / "claude-failover" / "failover.toml"
    assert f"looked for {place}, /etc/claude-failover/failover.toml" in result.stderr


def test_option_stands_before_or_behind_the_verb(vm: Vm) -> None:
    option = ["--inventory", str(vm.inventory)]
    assert 0 == vm.run(*option, "check", inventory=False).returncode
    assert 0 == vm.run("check", *option, inventory=False).returncode


def test_variable_names_the_inventory_and_fixes_need_no_option_then(vm: Vm) -> None:
    vm.entry("backup", "projects").unlink()
    environ = {"CLAUDE_FAILOVER_INVENTORY": str(vm.inventory)}
    result = vm.run("check", inventory=False, environ=environ)
    assert 1 == result.returncode
    assert "    fix       launcher ensure\n" in result.stdout


def test_help_names_every_verb_and_every_code() -> None:
    command = [sys.executable, "-m", "launcher", "--help"]
    text = subprocess.check_output(command, text=True)
    for verb in VERBS:
        assert f"    {verb} " in text
    codes = [int(code) for code in re.findall(r"^ +(\d+)  ", text, re.MULTILINE)]
    assert sorted(ExitCode) == codes
    assert max(len(line) for line in text.splitlines()) <= 80


def test_version() -> None:
    command = [sys.executable, "-m", "launcher", "--version"]
    assert re.fullmatch(
        r"claude-failover \d+\.\d+\.\d+\n", subprocess.check_output(command, text=True)
    )


def test_fault_of_ours_is_unknown_and_told_in_full(vm: Vm) -> None:
    code = vm.deploy()
    line = "    gate, sessions = boot.check"
    patch(code / "launcher" / "verbs" / "check.py", line, f"    1 / 0\n{line}")
    vm.run("up")
    result = vm.run("check", cwd=code)
    assert (70, "") == (result.returncode, result.stdout)
    assert result.stderr.startswith(
        "launcher: a fault of claude-failover, please report it: ZeroDiv"
    )
    assert "Traceback" in result.stderr
    assert "unknown" == vm.report["verdict"], "what an earlier gate published is not today's truth"


@pytest.mark.parametrize("module", ["launcher/cli.py", "invariants/links.py"])
def test_half_a_program_is_unknown_without_a_traceback(vm: Vm, module: str) -> None:
    code = vm.deploy()
    (code / module).unlink()
    result = vm.run("check", cwd=code)
    assert 70 == result.returncode
    assert result.stderr.startswith("launcher: claude-failover is not installed as a whole: ")
    assert "Traceback" not in result.stderr


def at_a_terminal(vm: Vm, **environ: str) -> str:
    """Run ``check`` with a terminal of 80 columns as its output; return what it showed."""
    leader, follower = pty.openpty()
    vm.run("check", environ=environ, stdout=follower, stderr=follower)
    os.close(follower)
    shown = b""
    try:
        while chunk := os.read(leader, 65536):
            shown += chunk
    except OSError:  # the last writer has gone (pty(7))
        pass
    os.close(leader)
    return shown.decode()


def test_colours_are_for_a_terminal_that_wants_them(vm: Vm) -> None:
    vm.diverge()
    assert "\x1b[31m" in at_a_terminal(vm, TERM="xterm")
    assert "\x1b" not in at_a_terminal(vm, TERM="xterm", NO_COLOR="1")
    assert "\x1b" not in at_a_terminal(vm, TERM="dumb")
    assert "\x1b" not in vm.run("check", environ={"TERM": "xterm"}).stdout


def test_red_has_no_noise_of_pytest(vm: Vm) -> None:
    vm.diverge()
    result = vm.run("check")
    assert "" == result.stderr
    for noise in ("Traceback", "Error", "test_link", "assert", "===", ".py"):
        assert noise not in result.stdout


def test_red_reads_in_the_order_in_which_a_person_asks(vm: Vm) -> None:
    entry = vm.diverge("backup", "projects")
    vm.write({"api": ["sleep", "600"]})
    lines = vm.run("up").stdout.splitlines()
    ensure = f"launcher ensure --inventory {vm.inventory}"
    assert [
        f"backup ({vm.home('backup')})",
        "  backup projects: divergent",
        f"    expected  symlink to {vm.target('projects')}",
        f"    found     symlink to {vm.root}/elsewhere",
        f"    fix       mkdir {entry}.aside && mv -n {entry} {entry}.aside/ && {ensure}",
        "",
        "sessions",
        "  api  primary  held",
        "",
    ] == lines[:-1]
    assert re.fullmatch(
        r"red: 1 of 24 invariants does not hold; nothing was started \(\d+\.\d\d s\)", lines[-1]
    )


def test_broken_pipe_changes_no_code(vm: Vm) -> None:
    vm.diverge()
    command = f"{sys.executable} -m launcher --inventory {vm.inventory} check; echo $? >&2"
    result = subprocess.run(
        ["sh", "-c", f"({command}) | true"],
        env=vm.environ,
        cwd=vm.root,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "1\n" == result.stderr


def test_result_that_cannot_be_printed_is_not_success(vm: Vm) -> None:
    command = f"{sys.executable} -m launcher --inventory {vm.inventory} check > /dev/full"
    result = subprocess.run(
        ["sh", "-c", command],
        env=vm.environ,
        cwd=vm.root,
        capture_output=True,
        text=True,
        check=False,
    )
    assert 70 == result.returncode
    assert "launcher: the result could not be printed: No space left on device\n" == result.stderr


def test_ensure_tells_what_it_does_as_text_and_as_json(vm: Vm) -> None:
    entry = vm.entry("backup", "projects")
    entry.unlink()
    line = f"{entry} -> {vm.target('projects')}\n"
    assert f"would create {line}" == vm.run("ensure", "--dry-run").stdout
    assert f"created {line}" == vm.run("ensure").stdout
    assert "nothing to do: every target and link is there\n" == vm.run("ensure").stdout
    assert '"created": [],' in vm.run("ensure", "--json").stdout
    entry.unlink()
    entry.touch()
    refused = vm.run("ensure")
    assert 1 == refused.returncode
    assert refused.stdout.endswith("\n\nrefused: 1 in the way; nothing was created\n")
    assert '"state": "file"' in vm.run("ensure", "--json").stdout


def test_down_without_sessions_says_so(vm: Vm) -> None:
    assert (0, "no session runs\n") == (vm.run("down").returncode, vm.run("down").stdout)
