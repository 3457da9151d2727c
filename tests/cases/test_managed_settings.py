"""The machine's managed settings count, and are blamed by their own path."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests import client
from tests.places import NEEDS_ROOT, managed_settings
from tests.vm import Vm

PUBLIC = "anthropics/claude-code#74798, #90148"
MANAGED = "/etc/claude-code/managed-settings.json"

pytestmark = NEEDS_ROOT


def told(vm: Vm) -> list[dict[str, str]]:
    """Run a gate; return its failures."""
    done = vm.run("check")
    failures: list[dict[str, str]] = vm.report["failures"]
    assert done.returncode == (1 if failures else 0), done.stdout + done.stderr
    return failures


def keep_for_a_year(vm: Vm) -> None:
    for account in vm.accounts:
        path = vm.home(account) / "settings.json"
        path.write_text(json.dumps({"cleanupPeriodDays": 365}))
        path.chmod(0o600)


def ask_for_a_year(vm: Vm) -> None:
    text = vm.inventory.read_text().replace("[[accounts]]", "retention_days = 365\n[[accounts]]", 1)
    vm.inventory.write_text(text)


@pytest.mark.parametrize("name", ["base", "50-ours"])
def test_retention_of_managed_settings_is_told_once_and_by_their_path(vm: Vm, name: str) -> None:
    keep_for_a_year(vm)
    ask_for_a_year(vm)
    vm.prefix = managed_settings(vm, **{name: {"cleanupPeriodDays": 7}})
    (failure,) = told(vm)
    path = MANAGED if name == "base" else f"/etc/claude-code/managed-settings.d/{name}.json"
    assert (
        f"{path} lets them be deleted after 7 days; the inventory asks for 365" == failure["found"]
    )
    assert failure["fix"].endswith(f'  # look: there must be "cleanupPeriodDays": 365 in {path}')


def test_managed_settings_that_keep_them_long_enough_cure_short_homes(vm: Vm) -> None:
    ask_for_a_year(vm)
    vm.prefix = managed_settings(vm, base={"cleanupPeriodDays": 365})
    assert [] == told(vm)


def client_of(vm: Vm) -> Path:
    program = client.install(vm)
    vm.write({"work": [str(program)]})
    return program


def test_bypass_mode_of_managed_settings_stops_at_its_warning(vm: Vm) -> None:
    client_of(vm)
    vm.prefix = managed_settings(vm, base={"permissions": {"defaultMode": "bypassPermissions"}})
    failures = told(vm)
    assert [("primary", "not-accepted"), ("backup", "not-accepted")] == [
        (failure["account"], failure["state"]) for failure in failures
    ]
    assert MANAGED in failures[0]["found"]


def test_bypass_mode_whose_warning_was_answered_is_green(vm: Vm) -> None:
    client_of(vm)
    for account in vm.accounts:
        path = vm.home(account) / ".claude.json"
        state = json.loads(path.read_text())
        path.write_text(json.dumps({**state, "bypassPermissionsModeAccepted": True}))
    vm.prefix = managed_settings(vm, base={"permissions": {"defaultMode": "bypassPermissions"}})
    assert [] == told(vm)


def test_managed_settings_that_cannot_be_read_are_told_once(vm: Vm) -> None:
    client_of(vm)
    vm.prefix = managed_settings(vm, base="{")
    (failure,) = told(vm)
    assert "unreadable" == failure["state"]
    assert MANAGED in failure["found"]


def test_helper_of_managed_settings_is_a_login(vm: Vm) -> None:
    client_of(vm)
    for account in vm.accounts:
        (vm.home(account) / ".credentials.json").unlink()
    vm.prefix = managed_settings(vm, base={"apiKeyHelper": "/bin/true"})
    assert [] == told(vm)
