"""The invariants, run by hand with ``pytest invariants``: by a real pytest in a child process."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

from invariants.checks import FAMILIES
from invariants.inventory import VARIABLE
from tests.vm import CHECKOUT, LINKS, Vm, snapshot

Run = subprocess.CompletedProcess[str]
SYSTEM = Path("/etc/claude-failover/failover.toml")
ALL = 2 + 2 * len(LINKS) + len(LINKS) + 2 * 4 + 2


def run(vm: Vm, *arguments: str, cwd: Path, **environ: str) -> Run:
    """Run pytest with these arguments and nothing else, importing from the checkout."""
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *arguments],
        env={**vm.environ, "PYTHONPATH": str(CHECKOUT), **environ},
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
    )


def summary(done: Run) -> str:
    """Return pytest's last line without its ornament and its time."""
    return done.stdout.splitlines()[-1].strip("= ").rpartition(" in ")[0]


def errors(done: Run) -> list[str]:
    return [
        line.removeprefix("ERROR: ")
        for line in done.stderr.splitlines()
        if line.startswith("ERROR: ")
    ]


def test_all_hold_on_a_good_vm(vm: Vm) -> None:
    done = vm.pytest()

    assert 0 == done.returncode, done.stdout
    assert f"{ALL} passed" == summary(done)


def test_reading_leaves_homes_and_targets_as_they_were(vm: Vm) -> None:
    before = snapshot(vm.root)
    vm.pytest()

    assert before == snapshot(vm.root)


def test_broken_link_is_told_in_four_lines(vm: Vm) -> None:
    entry = vm.diverge("backup", "projects")
    done = vm.pytest()

    assert 1 == done.returncode
    assert f"1 failed, {ALL - 1} passed" == summary(done)
    failures = done.stdout.partition("= FAILURES =")[2].partition("= short test summary")[0]
    assert [
        "backup projects: divergent",
        f"  expected  symlink to {vm.target('projects')}",
        f"  found     symlink to {vm.root}/elsewhere",
        f"  fix       mkdir {entry}.aside && mv -n {entry} {entry}.aside/ && "
        f"launcher ensure --inventory {vm.inventory}",
    ] == failures.splitlines()[2:-1]


def test_every_broken_entry_is_told(vm: Vm) -> None:
    for account in vm.accounts:
        for link in LINKS:
            vm.diverge(account, link)
    done = vm.pytest()

    assert f"{2 * len(LINKS)} failed, {ALL - 2 * len(LINKS)} passed" == summary(done)
    for account in vm.accounts:
        for link in LINKS:
            assert f"\n{account} {link}: divergent\n" in done.stdout


def test_finding_is_in_the_json_document(vm: Vm) -> None:
    vm.diverge("backup", "projects")
    file = vm.root / "document.json"
    vm.pytest("--json-report", f"--json-report-file={file}")
    tests = json.loads(file.read_text())["tests"]
    findings = [test["metadata"]["finding"] for test in tests if test["outcome"] == "failed"]

    assert [("link_is_shared", "backup", "projects", None, "divergent")] == [
        tuple(found[key] for key in ("invariant", "account", "link", "session", "state"))
        for found in findings
    ]
    assert [False] * (ALL - 1) == [
        "metadata" in test and "finding" in test["metadata"]
        for test in tests
        if test["outcome"] == "passed"
    ]


def test_wrong_inventory_is_a_usage_error_with_all_problems(vm: Vm) -> None:
    vm.write(more="zzz = 1\n[[sessions]]\nname = 'api'\n[shred]", timeout=0)
    done = vm.pytest()

    assert 4 == done.returncode
    assert [
        "the inventory is wrong or missing",
        f"{vm.inventory}: sessions[0].account: is missing",
        f"{vm.inventory}: sessions[0].directory: is missing",
        f"{vm.inventory}: sessions[0].command: is missing",
        f"{vm.inventory}: launcher.timeout: must be above 0 and at most 3600 seconds, not 0",
        f"{vm.inventory}: launcher.zzz: unknown key; known are "
        "backend, invariants, memory_rules, prometheus, report, settle, state, timeout",
        f"{vm.inventory}: shred: unknown key; did you mean shared?",
    ] == errors(done)
    assert "Traceback" not in done.stderr + done.stdout


def test_named_inventory_that_does_not_exist_is_a_usage_error(vm: Vm) -> None:
    vm.inventory.unlink()
    done = vm.pytest()

    assert 4 == done.returncode
    assert f"{vm.inventory}: does not exist" in errors(done)


@pytest.mark.skipif(SYSTEM.exists(), reason=f"this machine has an inventory of its own: {SYSTEM}")
def test_no_inventory_is_a_usage_error_that_says_where_it_looked(vm: Vm) -> None:
    done = run(vm, "invariants", cwd=CHECKOUT)
    user = vm.user_home / ".config" / "claude-failover" / "failover.toml"

    assert 4 == done.returncode
    assert f"no inventory: looked for {user}, {SYSTEM}; write one there, " in errors(done)[1]
    assert "no tests ran" == summary(done)


def test_selection_of_a_wrong_inventory_is_a_usage_error_too(vm: Vm) -> None:
    vm.inventory.write_text("")

    assert 4 == vm.pytest("-k", "backup-projects").returncode


@pytest.mark.parametrize("broken", [False, True])
def test_one_entry_can_be_selected(vm: Vm, broken: bool) -> None:
    if broken:
        vm.diverge("backup", "projects")
    vm.diverge("backup", "file-history")
    done = vm.pytest("-k", "backup-projects")

    assert int(broken) == done.returncode
    assert f"1 {'failed' if broken else 'passed'}, {ALL - 1} deselected" == summary(done)


def test_one_entry_can_be_named_by_its_node_id(vm: Vm) -> None:
    nodeid = "invariants/test_links.py::test_link_is_shared[backup-projects]"
    vm.diverge("backup", "projects")
    done = run(vm, nodeid, "--inventory", str(vm.inventory), cwd=CHECKOUT)

    assert 1 == done.returncode
    assert "1 failed" == summary(done)


def test_missing_home_fails_once(vm: Vm) -> None:
    vm.home("backup").rename(vm.root / "away")
    done = vm.pytest()

    assert f"1 failed, {ALL - 1} passed" == summary(done)
    assert "\nhome of backup: missing\n" in done.stdout


@pytest.mark.parametrize("selection", ["backup-projects", "link_is_shared and backup-projects"])
def test_missing_home_fails_where_its_own_check_is_deselected(vm: Vm, selection: str) -> None:
    vm.home("backup").rename(vm.root / "away")
    done = vm.pytest("-k", selection)

    assert 1 == done.returncode
    assert f"1 failed, {ALL - 1} deselected" == summary(done)
    assert "\nhome of backup: missing\n" in done.stdout


def test_home_inside_one_that_is_deselected_fails(vm: Vm) -> None:
    """Its path says nothing of where it is."""
    vm.home("backup").rename(vm.home("primary") / "inner")
    vm.home("backup").symlink_to(vm.home("primary") / "inner")
    done = vm.pytest("-k", "home_is_usable and backup")

    assert 1 == done.returncode
    assert "\nhome of backup: inside-home\n" in done.stdout


def test_missing_home_fails_every_entry_where_only_entries_are_run(vm: Vm) -> None:
    vm.home("backup").rename(vm.root / "away")
    done = vm.pytest("-k", "link_is_shared")

    assert f"3 failed, 3 passed, {ALL - 6} deselected" == summary(done)


@pytest.mark.parametrize("level", ["1", "2"])
@pytest.mark.thorough
def test_broken_link_is_told_without_asserts_too(vm: Vm, level: str) -> None:
    vm.environ["PYTHONOPTIMIZE"] = level
    assert f"{ALL} passed" == summary(vm.pytest())

    vm.diverge("backup", "projects")
    done = vm.pytest()
    assert 1 == done.returncode
    assert f"1 failed, {ALL - 1} passed" == summary(done)
    assert "\nbackup projects: divergent\n" in done.stdout


@pytest.mark.parametrize("arguments", [["--pyargs", "invariants"], [str(CHECKOUT / "invariants")]])
@pytest.mark.parametrize("named", ["variable", "place"])
@pytest.mark.sampled(2)
def test_invariants_run_from_any_directory(
    vm: Vm, tmp_path: Path, arguments: list[str], named: str
) -> None:
    vm.diverge("backup", "projects")
    environ = {VARIABLE: str(vm.inventory)}
    if named == "place":
        place = vm.user_home / "claude-failover" / "failover.toml"
        place.parent.mkdir(mode=0o700)
        vm.inventory.rename(place)
        environ = {"XDG_CONFIG_HOME": str(vm.user_home)}
    done = run(vm, *arguments, cwd=tmp_path, **environ)

    assert 1 == done.returncode, done.stdout + done.stderr
    assert f"1 failed, {ALL - 1} passed" == summary(done)


@pytest.mark.parametrize(
    "arguments",
    [["--pyargs", "invariants", "-p", "invariants.plugin"], [str(CHECKOUT / "invariants")]],
)
def test_option_is_known_in_any_directory(vm: Vm, tmp_path: Path, arguments: list[str]) -> None:
    """With ``--pyargs``, pytest reads its options before it finds the package's conftest."""
    vm.diverge("backup", "projects")
    done = run(vm, *arguments, "--inventory", str(vm.inventory), cwd=tmp_path)

    assert 1 == done.returncode, done.stdout + done.stderr
    assert f"1 failed, {ALL - 1} passed" == summary(done)


@pytest.mark.thorough
def test_invariants_run_on_several_workers(vm: Vm) -> None:
    vm.diverge("backup", "projects")
    done = vm.pytest("-n", "2")

    assert 1 == done.returncode
    assert f"1 failed, {ALL - 1} passed" == summary(done)


def test_sessions_are_checked_where_there_are_some(vm: Vm) -> None:
    vm.write({"api": ["./nowhere"]})
    done = vm.pytest()

    assert f"1 failed, {ALL + 2} passed" == summary(done)
    assert "\nsession api: missing\n" in done.stdout


def test_bare_pytest_runs_tests_and_never_looks_at_the_vm(vm: Vm) -> None:
    """In a copy with one test of its own, and with an inventory that would end it."""
    copy = vm.deploy()
    (copy / "tests").mkdir()
    (copy / "tests" / "test_one.py").write_text("def test_one():\n    pass\n")
    vm.inventory.write_text("")
    bare = {"PYTHONPATH": str(copy), VARIABLE: str(vm.inventory)}

    listed = run(vm, "--collect-only", "-q", cwd=copy, **bare)
    assert 0 == listed.returncode, listed.stdout + listed.stderr
    assert ["tests/test_one.py::test_one"] == [
        line for line in listed.stdout.splitlines() if "::" in line
    ]
    assert "1 passed" == summary(run(vm, cwd=copy, **bare))


def test_invariants_of_another_directory_are_no_business_of_the_plugin(vm: Vm) -> None:
    """A test that happens to have an invariant's name gets no parameters."""
    copy = vm.deploy()
    (copy / "tests").mkdir()
    (copy / "tests" / "test_same.py").write_text("def test_link_is_shared():\n    pass\n")
    bare = {"PYTHONPATH": str(copy), VARIABLE: str(vm.root / "nowhere")}

    assert "1 passed" == summary(run(vm, cwd=copy, **bare))


def test_option_is_explained(vm: Vm) -> None:
    assert "--inventory=PATH" in run(vm, "--help", cwd=CHECKOUT).stdout


def invariants() -> dict[str, str]:
    """Return the docstring of every test under ``invariants/``, by its name."""
    found = {}
    for module in sorted((CHECKOUT / "invariants").glob("test_*.py")):
        for node in ast.parse(module.read_text()).body:
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                found[f"{module.name}::{node.name}"] = ast.get_docstring(node) or ""
    return found


def test_every_test_of_the_invariants_has_a_family() -> None:
    """One without would be collected without parameters, and expected by nobody."""
    wanted = {f"{family.module}::test_{name}" for name, family in FAMILIES.items()}

    assert wanted == set(invariants())


@pytest.mark.parametrize("name", invariants())
def test_every_invariant_says_in_one_sentence_what_must_hold(name: str) -> None:
    sentence = invariants()[name].partition("\n\n")[0]

    assert sentence
    assert "\n" not in sentence
    assert sentence.endswith(".")
    assert ". " not in sentence
