"""The gate: isolated, limited in time, and silent about nothing."""

from __future__ import annotations

import os
import signal
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from invariants.inventory import Inventory, load
from launcher.early import gate_environment
from launcher.gate import validate_all
from launcher.interrupts import SIGNALS, Interrupts
from launcher.verdict import Colour
from tests.patching import patch
from tests.vm import LINKS, Vm, wait_until


@pytest.fixture
def inventory(vm: Vm) -> Inventory:
    return load(str(vm.inventory))


def test_gate_leaves_pytests_document_and_its_times(vm: Vm, inventory: Inventory) -> None:
    before = time.time()
    run = validate_all(inventory)
    assert before <= run.started <= run.finished <= time.time()
    assert (Colour.GREEN, None, 21, 21) == (
        run.verdict.colour,
        run.verdict.reason,
        run.verdict.expected,
        run.verdict.passed,
    )
    assert 21 == len(run.document["tests"]) == run.document["summary"]["passed"]
    assert "environment" not in run.document


def test_gate_gets_nothing_that_pytest_or_python_listens_to() -> None:
    given = {
        "PATH": "/bin",
        "HOME": "/root",
        "LC_ALL": "C",
        "XDG_CONFIG_HOME": "/config",
        "PYTEST_ADDOPTS": "--co",
        "PYTHONPATH": "/evil",
        "ANTHROPIC_API_KEY": "sk-secret",
        "COVERAGE_FILE": "x",
    }
    assert ["PATH", "HOME", "LC_ALL", "XDG_CONFIG_HOME"] == list(gate_environment(given))


def test_report_holds_no_secret_of_the_environment(vm: Vm) -> None:
    vm.diverge()
    vm.run("check", environ={"ANTHROPIC_API_KEY": "sk-secret", "MY_TOKEN": "hush"})
    text = vm.report_path.read_text()
    assert "sk-secret" not in text
    assert "hush" not in text
    assert os.environ["PATH"] not in text


def test_hung_file_system_is_unknown_within_the_limit_and_named(vm: Vm) -> None:
    """A FUSE-like hang: the check of the second home waits for a file that never comes."""
    code = vm.deploy()
    hang = "        if account.name == 'backup': __import__('time').sleep(999)\n"
    line = "        home = account.home\n"
    patch(code / "invariants" / "homes.py", line, hang + line)
    vm.write(timeout=1.5)
    started = time.monotonic()
    result = vm.run("check", cwd=code)
    assert 70 == result.returncode
    assert time.monotonic() - started < 10
    assert "unknown" == vm.report["verdict"]
    assert (
        f"no verdict within 1.5 s, hung at backup home ({vm.home('backup')})" == vm.report["reason"]
    )
    assert vm.report["reason"] in result.stdout
    assert 21 == vm.report["expected"]


@pytest.mark.parametrize(
    ("module", "named"),
    [("targets", "target of session-env ("), ("programs", "session api (")],
)
@pytest.mark.thorough
def test_what_hung_is_named_with_its_path(vm: Vm, module: str, named: str) -> None:
    vm.write({"api": ["sleep", "1"]}, timeout=1.5)
    code = vm.deploy()
    test = code / "invariants" / ("test_targets.py" if module == "targets" else "test_sessions.py")
    first = "    fault = vm.targets" if module == "targets" else "    finding = judge_directory"
    patch(test, first, f"    __import__('time').sleep(999)\n{first}")
    vm.run("check", cwd=code)
    assert f"hung at {named}" in vm.report["reason"]


def test_child_that_hangs_is_gone_after_the_limit(vm: Vm) -> None:
    code = vm.deploy()
    test = code / "invariants" / "test_homes.py"
    test.write_text(
        test.read_text().replace("    fault", "    __import__('time').sleep(999)\n    fault")
    )
    vm.write(timeout=0.7)
    vm.run("check", cwd=code)
    children = [
        path
        for path in os.listdir("/proc")
        if path.isdigit() and str(code).encode() in _command_line(path)
    ]
    assert [] == children


def _command_line(pid: str) -> bytes:
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return file.read()
    except OSError:
        return b""


def test_noise_of_a_test_cannot_fill_the_memory(vm: Vm) -> None:
    code = vm.deploy()
    test = code / "invariants" / "test_homes.py"
    noise = "    import os\n    for _ in range(2000): os.write(2, b'x' * 65536)\n"
    test.write_text(test.read_text().replace("    fault", f"{noise}    fault", 1))
    assert 0 == vm.run("check", cwd=code).returncode


def test_last_words_of_a_child_that_dies_are_told(vm: Vm) -> None:
    code = vm.deploy()
    (code / "launcher" / "child.py").write_text("raise SystemExit('no luck today')\n")
    assert 70 == vm.run("check", cwd=code).returncode
    assert "pytest left no document of its run (no luck today)" == vm.report["reason"]


def test_signal_while_the_gate_runs_is_unknown(inventory: Inventory) -> None:
    with Interrupts() as interrupts:
        os.kill(os.getpid(), signal.SIGTERM)
        run = validate_all(inventory, interrupts=interrupts)
    assert (Colour.UNKNOWN, "interrupted by SIGTERM") == (run.verdict.colour, run.verdict.reason)


def test_gate_can_be_called_from_any_thread(inventory: Inventory, vm: Vm) -> None:
    before = [signal.getsignal(number) for number in SIGNALS]
    with ThreadPoolExecutor(1) as pool:
        gate = pool.submit(validate_all, inventory, environ=vm.environ).result()
    assert Colour.GREEN is gate.verdict.colour
    assert before == [signal.getsignal(number) for number in SIGNALS]


def test_machine_without_what_the_gate_needs_is_unknown(
    inventory: Inventory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    run = validate_all(inventory)
    assert Colour.UNKNOWN is run.verdict.colour
    assert "the gate could not be run: FileNotFoundError" in str(run.verdict.reason)


def test_limit_counts_from_the_inventory(inventory: Inventory) -> None:
    settings = inventory.settings._replace(timeout=0.001)
    run = validate_all(inventory._replace(settings=settings))
    assert (Colour.UNKNOWN, "no verdict within 0.001 s") == (run.verdict.colour, run.verdict.reason)


def test_inventory_that_changes_while_the_gate_runs_plays_no_part(vm: Vm) -> None:
    """The child judges what the launcher read, and not the file anew."""
    code = vm.deploy()
    child = code / "launcher" / "child.py"
    spoil = f"    open({str(vm.inventory)!r}, 'w').write('nonsense')\n    import pickle\n"
    child.write_text(child.read_text().replace("    import pickle\n", spoil))
    assert 0 == vm.run("check", cwd=code).returncode
    assert 78 == vm.run("check").returncode


def test_accounts_and_links_whose_ids_would_collide_are_all_judged(vm: Vm) -> None:
    links = ["c", "b-c"]
    text = f'[shared]\nroot = "{vm.root}/s"\nlinks = {links}\n'.replace("'", '"')
    for name in ("a-b", "a"):
        (vm.root / name).mkdir(mode=0o700)
        text += f'[[accounts]]\nname = "{name}"\nhome = "{vm.root}/{name}"\n'
    vm.inventory.write_text(f'{text}[launcher]\nstate = "{vm.state}"\n')
    assert 0 == vm.run("ensure").returncode
    assert 0 == vm.run("check").returncode
    (vm.root / "a-b" / "c").unlink()
    assert 1 == vm.run("check").returncode
    assert [("a-b", "c")] == [(one["account"], one["link"]) for one in vm.report["failures"]]


@pytest.mark.thorough
def test_a_thousand_accounts_are_judged_one_by_one(vm: Vm) -> None:
    """All red, each named: no truncation anywhere on the way."""
    names = [f"account{number}" for number in range(1000)]
    text = f'[shared]\nroot = "{vm.shared}"\n[launcher]\nstate = "{vm.state}"\ntimeout = 300\n'
    for name in names:
        (vm.root / name).mkdir(mode=0o700)
        text += f'[[accounts]]\nname = "{name}"\nhome = "{vm.root}/{name}"\n'
    vm.inventory.write_text(text)
    result = vm.run("check")
    assert 1 == result.returncode
    told = [(one["account"], one["link"]) for one in vm.report["failures"]]
    assert [(name, link) for name in names for link in LINKS] == told
    assert 3000 == result.stdout.count(": missing\n")
    assert 8005 == vm.report["expected"]


def test_report_is_published_on_every_gate(vm: Vm) -> None:
    for verdict in ("green", "red", "green"):
        entry = vm.entry("backup", "projects")
        entry.unlink()
        entry.symlink_to(vm.target("projects") if verdict == "green" else "nonexistent")
        vm.run("check")
        assert verdict == vm.report["verdict"]
    wait_until(vm.report_path.exists, "the report is there")
