"""Hooks and permissions: equal in all homes, and shown in no message."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from invariants.client import Clients
from invariants.finding import Finding
from invariants.model import Account
from invariants.parity import Parity


@pytest.fixture
def accounts(tmp_path: Path) -> list[Account]:
    made = [Account(name, str(tmp_path / name)) for name in ("primary", "backup")]
    for account in made:
        Path(account.home).mkdir()
    return made


def write(account: Account, **settings: Any) -> None:
    (Path(account.home) / "settings.json").write_text(json.dumps(settings))


def judge(accounts: list[Account]) -> Finding | None:
    parity = Parity(accounts[0], Clients())
    assert parity.judge(accounts[0]) is None
    return parity.judge(accounts[1])


def hook(command: str) -> dict[str, Any]:
    return {"PreToolUse": [{"matcher": "Bash", "hooks": [{"type": "command", "command": command}]}]}


def test_homes_without_settings_and_with_empty_ones_agree(accounts: list[Account]) -> None:
    assert judge(accounts) is None
    write(accounts[1], hooks={}, permissions={"allow": []}, model="opus")
    assert judge(accounts) is None


def test_order_of_rules_and_a_homes_own_path_make_no_difference(accounts: list[Account]) -> None:
    for account, rules in zip(accounts, (["Read", "Edit"], ["Edit", "Read"]), strict=True):
        write(account, permissions={"allow": rules}, hooks=hook(f"{account.home}/guard.sh"))

    assert judge(accounts) is None


def test_difference_is_told_by_its_place_and_not_by_what_stands_there(
    accounts: list[Account],
) -> None:
    write(accounts[0], hooks=hook("curl -H secret-1"), permissions={"deny": ["Bash(secret-2)"]})
    write(accounts[1], hooks=hook("curl -H secret-3"), permissions={"defaultMode": "plan"})
    finding = judge(accounts)

    assert finding is not None
    assert ("backup", "different") == (finding.account, finding.state)
    places = "hooks.PreToolUse, permissions.defaultMode, permissions.deny"
    assert f"different: {places}" == finding.found
    paths = " ".join(f"{account.home}/settings.json" for account in accounts)
    assert f"diff {paths}  # look: make the two agree" == finding.fix
    assert "secret" not in str(finding)


def test_many_differences_are_counted(accounts: list[Account]) -> None:
    write(accounts[1], permissions={f"key{number}": number for number in range(7)})
    finding = judge(accounts)

    assert finding is not None
    assert finding.found.endswith("permissions.key4 and 2 more")


def test_settings_that_cannot_be_read_are_told_by_their_own_check(accounts: list[Account]) -> None:
    for account in accounts:
        (Path(account.home) / "settings.json").write_text("{")
    parity = Parity(accounts[0], Clients())
    assert ["unreadable", "unreadable"] == [
        finding and finding.state for finding in map(parity.judge, accounts)
    ]

    write(accounts[1])
    assert Parity(accounts[0], Clients()).judge(accounts[1]) is None
