"""``run``: the gate in front of a command that is started by hand."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from launcher.sessions.environment import BESIDE, OF_A_CLIENT, SECRETS, WITHOUT_TRANSCRIPT
from tests.vm import CHECKOUT, Vm

SHOW = """\
import json, os, signal
ignored = [n for n in signal.valid_signals() if signal.getsignal(n) is signal.SIG_IGN]
print(json.dumps([dict(os.environ), os.getcwd(), ignored]))
"""


def test_command_takes_the_launchers_place_with_its_accounts_home(vm: Vm) -> None:
    command = ["run", "backup", "--", sys.executable, "-IS", "-c", SHOW]
    result = vm.run(*command, environ={"EDITOR": "vi", **dict.fromkeys(SECRETS, "sk-secret")})
    assert (0, "") == (result.returncode, result.stderr)
    environ, directory, ignored = json.loads(result.stdout)
    assert str(vm.home("backup")) == environ["CLAUDE_CONFIG_DIR"]
    assert "vi" == environ["EDITOR"]
    assert set() == set(SECRETS) & set(environ)
    assert str(vm.root) == directory
    assert _ignored_here() == ignored
    assert "green" == vm.report["verdict"]


def test_command_gets_nothing_that_claude_code_told_the_launcher(vm: Vm) -> None:
    told = {**dict.fromkeys(OF_A_CLIENT, "of another session"), **BESIDE}
    theirs = {WITHOUT_TRANSCRIPT: "1", "CLAUDE_CODE_USE_BEDROCK": "1"}
    command = ["run", "backup", "--", sys.executable, "-IS", "-c", SHOW]
    result = vm.run(*command, environ={**told, **theirs})
    environ = json.loads(result.stdout)[0]
    assert set() == set(told) & set(environ)
    assert theirs.items() <= environ.items()


def _ignored_here() -> list[int]:
    """Return what any Python ignores that is started by these tests, themselves started anyhow."""
    look = [sys.executable, "-IS", "-c", SHOW]
    ignored: list[int] = json.loads(subprocess.check_output(look, env={}))[2]
    return ignored


def test_code_and_signals_of_the_command_are_its_own(vm: Vm) -> None:
    assert 7 == vm.run("run", "primary", "sh", "-c", "exit 7").returncode
    assert -15 == vm.run("run", "primary", "--", "sh", "-c", "kill $$").returncode
    ended = "yes | head -n 1 && echo ${PIPESTATUS[0]}"
    assert "y\n141\n" == vm.run("run", "primary", "--", "bash", "-c", ended).stdout


def test_red_runs_nothing_and_leaves_standard_output_to_the_command(vm: Vm) -> None:
    vm.diverge()
    result = vm.run("run", "primary", "--", "touch", "ran")
    assert (1, "") == (result.returncode, result.stdout)
    assert "launcher:   backup projects: divergent\n" in result.stderr
    assert not (vm.root / "ran").exists()
    assert "red" == vm.report["verdict"]


def test_report_that_cannot_be_published_runs_nothing(vm: Vm) -> None:
    vm.write(report=str(vm.root / "report"))
    (vm.root / "report").mkdir()
    result = vm.run("run", "primary", "--", "touch", "ran")
    assert 70 == result.returncode
    assert not (vm.root / "ran").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nobody", "--", "true"], "there is no account nobody; there are primary, backup"),
        (["primary"], "there is no command: launcher run ACCOUNT -- COMMAND"),
        (["primary", "--"], "there is no command: launcher run ACCOUNT -- COMMAND"),
        (["primary", "--", "no-such-program"], "there is no such program: no-such-program"),
        (["primary", "--", "./failover.toml"], "there is no such program: ./failover.toml"),
    ],
)
@pytest.mark.sampled(2)
def test_what_cannot_be_run_is_wrong_usage(vm: Vm, arguments: list[str], words: str) -> None:
    vm.run("check")
    result = vm.run("run", *arguments)
    assert (2, "") == (result.returncode, result.stdout)
    assert words in result.stderr
    assert "green" == vm.report["verdict"]


def test_program_that_the_kernel_refuses_is_unavailable(vm: Vm) -> None:
    program = vm.root / "program"
    program.write_text(f"#!{vm.root}/interpreter\n")
    program.chmod(0o700)
    result = vm.run("run", "primary", "--", str(program))
    assert 69 == result.returncode
    assert f"launcher: {program} cannot be run: No such file" in result.stderr


def test_script_without_an_interpreter_is_one_for_the_shell(vm: Vm) -> None:
    program = vm.root / "program"
    program.write_text("echo $1\n")
    program.chmod(0o700)
    result = vm.run("run", "primary", "--", "./program", "this")
    assert (0, "this\n") == (result.returncode, result.stdout)


def test_trouble_of_the_command_is_not_the_vms(vm: Vm) -> None:
    program = vm.root / "program"
    program.write_text(f"#!{vm.root}/interpreter\n")
    program.chmod(0o700)
    vm.run("run", "primary", "--", str(program))
    assert "green" == vm.report["verdict"]


@pytest.mark.parametrize(("command", "code"), [("true", 0), ("./true", 2)])
def test_working_directory_that_is_gone_is_no_fault(vm: Vm, command: str, code: int) -> None:
    line = f"mkdir gone; cd gone; rmdir ../gone; exec {sys.executable} -m launcher"
    done = subprocess.run(
        ["sh", "-c", f"{line} --inventory {vm.inventory} run primary -- {command}"],
        env={**vm.environ, "PYTHONPATH": str(CHECKOUT)},
        cwd=vm.root,
        check=False,
    )
    assert code == done.returncode


def test_signal_before_the_command_ends_the_launcher(vm: Vm) -> None:
    code = vm.deploy()
    module = code / "launcher" / "run.py"
    line = "    interrupts.let_go()\n"
    source = module.read_text()
    module.write_text(source.replace(line, f"    os.kill(os.getpid(), signal.SIGTERM)\n{line}"))
    assert source != module.read_text()
    result = vm.run("run", "primary", "--", "touch", "ran", cwd=code)
    assert 128 + 15 == result.returncode
    assert not (code / "ran").exists()


def test_lock_is_not_held_while_the_command_runs(vm: Vm) -> None:
    command = [sys.executable, "-m", "launcher", "--inventory", str(vm.inventory)]
    with subprocess.Popen(
        [*command, "run", "primary", "--", "sh", "-c", "echo runs; read line"],
        env=vm.environ,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert "runs\n" == process.stdout.readline()
        assert 0 == vm.run("check").returncode
        process.stdin.close()
