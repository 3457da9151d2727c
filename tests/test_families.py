"""The further families in a whole gate: told once, switched off with a reason, and no secrets."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from invariants.checks import expected_checks
from invariants.inventory import load
from tests.documents import changed, problems
from tests.vm import CHECKOUT, Vm

CLAUDE = {"api": ["claude"], "docs": ["claude", "--verbose"]}


@pytest.fixture
def claude(vm: Vm) -> Vm:
    """Return a VM with two sessions of a program called claude, both ready in both homes."""
    programs = vm.root / "bin"
    programs.mkdir()
    shutil.copy("/bin/sleep", programs / "claude")
    vm.environ["PATH"] = f"{programs}:{vm.environ['PATH']}"
    vm.write(CLAUDE)
    for account in vm.accounts:
        seed(vm, account)
    return vm


def seed(vm: Vm, account: str, **changes: Any) -> None:
    """Write what Claude Code keeps in a home after its first start in the VM's directory."""
    content = {
        "hasCompletedOnboarding": True,
        "projects": {str(vm.root): {"hasTrustDialogAccepted": True}},
        "oauthAccount": {"accountUuid": f"id-{account}", "emailAddress": "secret@example.org"},
        **changes,
    }
    path = vm.home(account) / ".claude.json"
    path.write_text(json.dumps(content))
    path.chmod(0o600)
    credentials = vm.home(account) / ".credentials.json"
    login = {"accessToken": f"secret-token-of-{account}", "scopes": ["user:inference"]}
    credentials.write_text(json.dumps({"claudeAiOauth": login}))
    credentials.chmod(0o600)


def failures(vm: Vm) -> list[tuple[str, str]]:
    return [
        (failure["nodeid"].rpartition("::")[2], failure["state"])
        for failure in vm.report["failures"]
    ]


def test_vm_with_two_logins_that_are_ready_is_green(claude: Vm) -> None:
    result = claude.run("check")

    assert 0 == result.returncode, result.stdout
    assert 2 * 5 + 2 * 3 + 3 + 2 + 2 * 3 + 1 + 2 * 2 + 2 + 2 * 2 == claude.report["expected"]


def test_whatever_is_wrong_is_told_at_once_and_holds_no_secret(claude: Vm) -> None:
    seed(claude, "backup", oauthAccount={"accountUuid": "id-primary"}, projects={})
    (claude.home("backup") / ".credentials.json").chmod(0o644)
    settings = {"cleanupPeriodDays": 5, "env": {"ANTHROPIC_API_KEY": "secret-key"}}
    (claude.home("backup") / "settings.json").write_text(json.dumps(settings))
    stray = claude.user_home / ".claude"
    (stray / "projects" / "-src").mkdir(parents=True)
    (stray / "history.jsonl").touch()
    result = claude.run("check")

    assert 1 == result.returncode
    assert [
        ("test_login_is_its_own[backup]", "same-login"),
        ("test_login_is_isolated[backup-.credentials.json]", "readable-by-others"),
        ("test_session_can_start_unattended[backup-api]", "not-trusted"),
        ("test_home_keeps_transcripts[backup]", "too-short"),
        ("test_no_home_is_left_out", "stray"),
    ] == failures(claude)
    assert "secret" not in claude.report_path.read_text() + result.stdout + result.stderr


def test_file_that_cannot_be_made_sense_of_is_told_once(claude: Vm) -> None:
    (claude.home("backup") / ".claude.json").write_text("secret")
    (claude.home("primary") / "settings.json").write_text("secret")
    claude.run("check")

    assert [
        ("test_login_is_its_own[backup]", "unreadable"),
        ("test_session_can_start_unattended[primary-api]", "unreadable"),
    ] == failures(claude)
    assert "secret" not in claude.report_path.read_text()


def test_missing_home_and_missing_directory_are_told_once(claude: Vm) -> None:
    shutil.rmtree(claude.home("backup"))
    text = claude.inventory.read_text()
    claude.inventory.write_text(text.replace(f'directory = "{claude.root}"', 'directory = "gone"'))
    claude.run("check")

    assert {
        ("test_home_is_usable[backup]", "missing"),
        ("test_session_directory_exists[api]", "missing"),
        ("test_session_directory_exists[docs]", "missing"),
    } == set(failures(claude))


def test_family_that_is_switched_off_does_not_run_and_its_reason_is_repeated(claude: Vm) -> None:
    for account in claude.accounts:
        (claude.home(account) / ".claude.json").unlink()
    claude.write(CLAUDE, more='[invariants.off]\nreadiness = "somebody watches"')
    checked = claude.run("check")
    status = claude.run("status")

    assert (0, "green") == (checked.returncode, claude.report["verdict"]), checked.stdout
    assert {"readiness": "somebody watches"} == claude.report["off"]
    assert {"readiness": "somebody watches"} == json.loads(claude.run("status", "--json").stdout)[
        "off"
    ]
    for shown in (checked.stdout, status.stdout):
        assert "  switched off: readiness: somebody watches\n" in shown
    assert "readiness" not in claude.report_path.read_text().replace(
        json.dumps({"readiness": "somebody watches"}), ""
    )
    by_hand = claude.pytest("-q", "--collect-only").stdout
    assert "test_retention.py" in by_hand
    assert "test_readiness.py" not in by_hand


@pytest.mark.parametrize("place", [".claude.json", "settings.json", ".credentials.json"])
def test_named_pipe_hangs_nobody(claude: Vm, place: str) -> None:
    path = claude.home("backup") / place
    path.unlink(missing_ok=True)
    os.mkfifo(path)
    claude.run("check", timeout=30)

    assert "red" == claude.report["verdict"]
    assert 1 == len(failures(claude))


@pytest.mark.parametrize("family", ["homes", "links", "targets", "sessions"])
def test_family_that_all_stands_on_cannot_be_switched_off(family: str) -> None:
    (problem,) = problems(changed(f"invariants.off.{family}", "because"))

    assert problem.startswith(f"invariants.off.{family}: cannot be switched off: ")


@pytest.mark.parametrize(
    ("key", "value", "problem"),
    [
        ("off.stray", "x", "invariants.off.stray: unknown family; did you mean strays?"),
        ("off.strays", "", "invariants.off.strays: must not be empty"),
        ("off.strays", " ", "invariants.off.strays: must say why"),
        ("off.strays", True, "invariants.off.strays: must be a string, not true or false"),
        ("parity", 1, "invariants.parity: must be true or false, not a number"),
        ("parrity", True, "invariants.parrity: unknown key; did you mean parity?"),
    ],
)
def test_wrong_demand_is_refused(key: str, value: object, problem: str) -> None:
    assert [problem] == problems(changed(f"invariants.{key}", value))


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (0, "must be a whole number of days from 1 to 1000000"),
        (10**9, "must be a whole number of days from 1 to 1000000"),
        (1.5, "must be a whole number of days from 1 to 1000000"),
        (True, "must be a number of days, not true or false"),
    ],
)
def test_wrong_number_of_days_is_refused(value: object, problem: str) -> None:
    assert [f"shared.retention_days: {problem}"] == problems(
        changed("shared.retention_days", value)
    )


def test_unknown_family_like_no_other_is_refused_with_those_known() -> None:
    (problem,) = problems(changed("invariants.off.zzz", "x"))

    known = "homes, identity, isolation, links, logins, parity, readiness, retention, sessions"
    assert f"invariants.off.zzz: unknown family; known are {known}, single-writer, strays, " in (
        f"{problem} "
    )


def test_example_for_two_accounts_is_an_inventory(tmp_path: Path) -> None:
    shutil.copy(CHECKOUT / "examples" / "two-accounts.toml", tmp_path)
    tmp_path.chmod(0o700)
    inventory = load(str(tmp_path / "two-accounts.toml"))
    families = {check.invariant for check in expected_checks(inventory, {}).values()}

    assert ["primary", "backup"] == [account.name for account in inventory.accounts]
    assert (365, True, {"strays"}) == (
        inventory.demands.retention_days,
        inventory.demands.parity,
        set(inventory.demands.off),
    )
    assert {"session_can_start_unattended", "settings_are_equal"} < families
