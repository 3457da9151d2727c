"""``up`` and ``check``: what is started, what is held, and what is said of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.vm import Vm, wait_until

SLEEP = ["sleep", "600"]


def states(vm: Vm) -> dict[str, str]:
    return {session["name"]: session["state"] for session in vm.report["sessions"]}


def test_up_starts_what_does_not_run_and_leaves_alone_what_runs(vm: Vm) -> None:
    vm.write({"api": SLEEP})
    assert 0 == vm.run("up").returncode
    assert {"api": "started"} == states(vm)
    before = set(vm.processes())
    vm.write({"api": SLEEP, "docs": SLEEP})
    assert 0 == vm.run("up").returncode
    assert {"api": "running", "docs": "started"} == states(vm)
    assert before < set(vm.processes())
    assert 1 == len(set(vm.processes()) - before)


def test_red_starts_nothing_and_leaves_alone_what_runs(vm: Vm) -> None:
    vm.write({"api": SLEEP})
    vm.run("up")
    before = vm.processes()
    vm.diverge()
    vm.write({"api": SLEEP, "docs": SLEEP})
    result = vm.run("up")
    assert 1 == result.returncode
    assert {"api": "running", "docs": "held"} == states(vm)
    assert before == vm.processes()
    assert result.stdout.splitlines()[-1].startswith(
        "red: 1 of 26 invariants does not hold; nothing was started ("
    )


def test_session_that_ends_at_once_is_unavailable_and_its_words_are_for_the_terminal(
    vm: Vm,
) -> None:
    vm.write({"api": ["sh", "-c", "echo 'Not logged in' >&2; exit 1"], "docs": SLEEP}, settle=0.5)
    result = vm.run("up")
    assert 69 == result.returncode
    assert {"api": "failed", "docs": "started"} == states(vm)
    assert "    | Not logged in\n" in result.stdout
    assert "it exited with status 1" == vm.report["sessions"][0]["detail"]
    assert "Not logged in" not in vm.report_path.read_text()


def test_words_of_an_earlier_run_are_not_told_again(vm: Vm) -> None:
    vm.write(
        {"api": ["sh", "-c", "test -e said || { touch said; echo spoken; }; exit 1"]}, settle=5
    )
    assert "    | spoken\n" in vm.run("up").stdout
    assert "spoken" not in vm.run("up").stdout


def test_check_starts_nothing_on_green(vm: Vm) -> None:
    vm.write({"api": SLEEP})
    assert 0 == vm.run("check").returncode
    assert {"api": "stopped"} == states(vm)
    assert [] == vm.processes()


def test_check_holds_on_red(vm: Vm) -> None:
    vm.write({"api": SLEEP})
    vm.diverge()
    assert 1 == vm.run("check").returncode
    assert {"api": "held"} == states(vm)


def test_inventory_without_sessions_is_judged_all_the_same(vm: Vm) -> None:
    result = vm.run("up")
    assert (0, "green") == (result.returncode, vm.report["verdict"])
    assert result.stdout.startswith("green: all 21 invariants hold (")


@pytest.mark.parametrize(
    ("change", "place", "found"),
    [
        (lambda t: t.replace('"sleep"', '"no-such-program"'), "session api: missing", "in PATH"),
        (lambda t: t.replace('"sleep"', '"./no-such"'), "session api: missing", "executable\n"),
        (lambda t: t.replace("directory = ", 'directory = "gone" # '), "api: missing", "nothing"),
        (lambda t: t.replace("directory = ", 'directory = "failover.toml" # '), "not-a-dir", "not"),
        (
            lambda t: t.replace('"process"', '"tmux"'),
            "session_backend_is_there: missing",
            "no such executable in",
        ),
    ],
)
@pytest.mark.sampled(2)
def test_what_a_session_needs_is_an_invariant(
    vm: Vm, tmp_path: Path, change: Callable[[str], str], place: str, found: str
) -> None:
    """A program, a directory and a backend that are not there are one failure each."""
    vm.write({"api": SLEEP})
    vm.inventory.write_text(change(vm.inventory.read_text()))
    path = tmp_path / "path"
    path.mkdir()
    for program in ("sleep", "sh"):
        (path / program).symlink_to(f"/bin/{program}")
    result = vm.run("up", environ={"PATH": str(path)})
    assert 1 == result.returncode
    assert 1 == len(vm.report["failures"])
    assert place in result.stdout
    assert found in result.stdout
    assert {"api": "held"} == states(vm)


def test_broken_directory_and_command_are_two_causes(vm: Vm) -> None:
    vm.write({"api": ["no-such-program"]})
    vm.inventory.write_text(vm.inventory.read_text().replace("directory = ", 'directory = "x" #'))
    vm.run("check")
    assert ["session_directory_exists", "session_command_is_found"] == [
        failure["invariant"] for failure in vm.report["failures"]
    ]


def test_report_that_cannot_be_published_starts_nothing(vm: Vm) -> None:
    vm.write({"api": SLEEP}, report=str(vm.root / "report"))
    (vm.root / "report").mkdir()
    result = vm.run("up")
    assert 70 == result.returncode
    assert "the report cannot be published" in result.stdout
    assert "api  primary  held" in result.stdout
    assert [] == vm.processes()


@pytest.mark.parametrize("verb", ["check", "up"])
def test_report_says_unknown_while_a_gate_is_at_work(vm: Vm, verb: str) -> None:
    """Killed at this point, the launcher leaves no green of an earlier run."""
    vm.run("check")
    code = vm.deploy()
    child = code / "launcher" / "child.py"
    copy = f"    import shutil; shutil.copy({str(vm.report_path)!r}, {str(vm.root / 'seen')!r})\n"
    child.write_text(child.read_text().replace("    import pickle\n", f"{copy}    import pickle\n"))
    assert 0 == vm.run(verb, cwd=code).returncode
    seen = json.loads((vm.root / "seen").read_text())["failover"]
    assert ("unknown", "a launcher is at work, or was killed at it") == (
        seen["verdict"],
        seen["reason"],
    )


def test_session_that_has_died_is_started_anew(vm: Vm) -> None:
    vm.write({"api": SLEEP})
    vm.run("up")
    vm.kill()
    assert "api  primary  stopped" in vm.run("status").stdout
    assert 0 == vm.run("up").returncode
    assert {"api": "started"} == states(vm)


def test_json_is_the_reports_key(vm: Vm) -> None:
    vm.write({"api": SLEEP})
    vm.diverge()
    for verb in ("check", "up"):
        result = vm.run(verb, "--json")
        assert (1, "") == (result.returncode, result.stderr)
        assert vm.report == json.loads(result.stdout)


def test_session_runs_in_its_directory_with_its_accounts_home(vm: Vm) -> None:
    script = 'pwd > seen; echo "$CLAUDE_CONFIG_DIR" >> seen; exec sleep 600'
    vm.write({"api": ["sh", "-c", script]})
    assert 0 == vm.run("up").returncode
    wait_until(lambda: (vm.root / "seen").read_text().count("\n") == 2, "the session has written")
    assert [str(vm.root), str(vm.home("primary"))] == (vm.root / "seen").read_text().split()
