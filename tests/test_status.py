"""``status``: at a glance, and with an exit code that is 0 only where all is well."""

from __future__ import annotations

import json
import re
import time
from typing import Any

import pytest

from invariants.inventory import load
from launcher.render import _age
from launcher.status import _observe
from tests.patching import patch
from tests.vm import LINKS, Vm, snapshot


def as_json(vm: Vm) -> tuple[int, dict[str, Any]]:
    result = vm.run("status", "--json")
    document: dict[str, Any] = json.loads(result.stdout)
    return result.returncode, document


def test_all_is_well(vm: Vm) -> None:
    vm.write({"api": ["sleep", "600"]})
    vm.run("up")
    code, document = as_json(vm)
    assert 0 == code
    assert {name: dict.fromkeys(LINKS, "shared") for name in vm.accounts} == document["entries"]
    assert {"primary": None, "backup": None} == document["homes"]
    assert dict.fromkeys(LINKS) == document["targets"]
    assert [("api", "primary", "running")] == [
        (one["name"], one["account"], one["state"]) for one in document["sessions"]
    ]
    report = document["report"]
    assert ("green", None, str(vm.report_path)) == (
        report["verdict"],
        report["problem"],
        report["path"],
    )
    assert 0 <= report["age"] < 60


def test_matrix_as_text(vm: Vm) -> None:
    vm.diverge("backup", "projects")
    vm.target("session-env").rmdir()
    vm.run("check")
    result = vm.run("status")
    assert 1 == result.returncode
    assert [
        "         home  session-env  file-history  projects",
        "primary  ok    shared       shared        shared",
        "backup   ok    shared       shared        divergent",
        "target         missing      ok            ok",
        "",
        f"last report: red, N s ago ({vm.report_path})",
        "",
    ] == re.sub(r"\d+ s ago", "N s ago", result.stdout).splitlines()[:7]
    assert "red since " in result.stdout  # tests/test_history.py


def test_status_writes_nothing(vm: Vm) -> None:
    vm.write({"api": ["sleep", "600"]})
    vm.diverge()
    before = snapshot(vm.root)
    vm.run("status")
    assert before == snapshot(vm.root)


def test_missing_home_is_named(vm: Vm) -> None:
    vm.home("backup").rename(vm.root / "gone")
    code, document = as_json(vm)
    assert (1, "missing") == (code, document["homes"]["backup"])


def test_without_a_report_nothing_is_known(vm: Vm) -> None:
    result = vm.run("status")
    assert 70 == result.returncode
    problem = f"last report: none: no report yet at {vm.report_path}: launcher check writes one\n"
    assert result.stdout.endswith(problem)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"boot_id": "another"}, "it is from before the last reboot"),
        ({"finished": time.time() + 9999}, "it is from the future: the clock was set back"),
        ({"inventory": "/etc/other.toml"}, "it is about another inventory: /etc/other.toml"),
        ({"verdict": "unknown", "reason": "hung"}, "hung"),
        ({"verdict": 1}, "not a report of this version"),
        ({"finished": "yesterday"}, "not a report of this version"),
        ({"verdict": "purple"}, "not a report of this version"),
    ],
)
@pytest.mark.sampled(3)
def test_report_that_cannot_be_todays_is_unknown(
    vm: Vm, changes: dict[str, Any], problem: str
) -> None:
    vm.run("check")
    document = json.loads(vm.report_path.read_text())
    document["failover"].update(changes)
    vm.report_path.write_text(json.dumps(document))
    code, status = as_json(vm)
    assert 70 == code
    assert problem in status["report"]["problem"]
    text = vm.run("status")
    assert 70 == text.returncode
    assert problem in text.stdout


def test_red_report_is_red_though_all_links_are_right_by_now(vm: Vm) -> None:
    entry = vm.diverge()
    vm.run("check")
    entry.unlink()
    entry.symlink_to(vm.target("projects"))
    assert 1 == vm.run("status").returncode


def test_session_that_the_inventory_no_longer_names_is_shown_and_can_be_stopped(vm: Vm) -> None:
    vm.write({"api": ["sleep", "600"], "old": ["sleep", "600"]})
    vm.run("up")
    vm.write({"api": ["sleep", "600"]})
    assert 0 == vm.run("check").returncode
    done = vm.run("status")
    line = "  warning: session old: it runs, but the inventory does not name it: tail -f "
    assert (0, 1) == (done.returncode, done.stdout.count(line))
    assert f"; fix: launcher down old --inventory {vm.inventory}\n" in done.stdout
    assert ["old"] == as_json(vm)[1]["foreign_sessions"]
    assert 0 == vm.run("down", "old").returncode
    assert [] == as_json(vm)[1]["foreign_sessions"]
    assert 1 == len(vm.processes())


def test_what_is_wrong_is_told_of_homes_targets_and_entries(vm: Vm) -> None:
    vm.home("backup").rename(vm.root / "gone")
    vm.target("projects").rmdir()
    vm.diverge("primary", "session-env")
    homes, targets, entries = _observe(load(str(vm.inventory)))
    assert {"primary": None, "backup": "missing"} == homes
    assert {"session-env": None, "file-history": None, "projects": "missing"} == targets
    assert {"session-env": "divergent", "file-history": "shared", "projects": "shared"} == (
        entries["primary"]
    )


def test_hung_home_does_not_hang_the_status(vm: Vm) -> None:
    vm.run("check")
    code = vm.deploy()
    line = "    homes, targets = Homes"
    patch(code / "launcher" / "status.py", line, f"    time.sleep(999)\n{line}")
    vm.write(timeout=1)
    result = vm.run("status", cwd=code)
    assert 70 == result.returncode
    assert "homes and targets: no answer within 1 s: a file system may hang" in result.stdout


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        *((0.2, "0 s"), (119.4, "119 s"), (120, "2 min"), (7200, "2 h"), (3 * 86400, "3 d")),
        *((None, "less than 0 s"), (-5, "less than 0 s")),
    ],
)
def test_age_is_told_in_one_unit(seconds: float | None, text: str) -> None:
    assert text == _age(seconds)
