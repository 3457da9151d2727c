"""How long transcripts live: as long under every home, and in every session's project."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from invariants.client import Clients
from invariants.finding import Finding
from invariants.model import Account, Session
from invariants.retention import Retention


@pytest.fixture
def accounts(tmp_path: Path) -> list[Account]:
    made = [Account(name, str(tmp_path / name)) for name in ("primary", "backup")]
    for account in made:
        Path(account.home).mkdir()
    return made


@pytest.fixture
def session(tmp_path: Path) -> Session:
    (tmp_path / "src" / ".claude").mkdir(parents=True)
    return Session("api", "primary", str(tmp_path / "src"), ("claude",))


def days(place: Account | Session, value: object, name: str = "settings.json") -> None:
    within = place.home if isinstance(place, Account) else f"{place.directory}/.claude"
    (Path(within) / name).write_text(json.dumps({"cleanupPeriodDays": value}))


def judge(accounts: list[Account], at_least: int | None = None) -> Retention:
    return Retention(accounts, Clients(str(Path(accounts[0].home).parent)), at_least)


def states(accounts: list[Account], at_least: int | None = None) -> list[str | None]:
    retention = judge(accounts, at_least)
    findings = [retention.judge(account) for account in accounts]
    return [finding.state if finding else None for finding in findings]


def test_homes_that_say_nothing_agree(accounts: list[Account]) -> None:
    assert [None, None] == states(accounts)
    assert [None, None] == states(accounts, 30)
    assert ["too-short", "too-short"] == states(accounts, 31)


def test_default_counts_as_its_days(accounts: list[Account]) -> None:
    days(accounts[0], 30)
    assert [None, None] == states(accounts)

    days(accounts[0], 31)
    assert [None, "too-short"] == states(accounts)
    days(accounts[0], 29)
    assert ["too-short", None] == states(accounts)


def test_shorter_one_is_told_with_what_the_other_keeps(accounts: list[Account]) -> None:
    days(accounts[0], 365)
    finding = judge(accounts).judge(accounts[1])
    path = f"{accounts[1].home}/settings.json"

    assert finding is not None
    assert f"{path} lets them be deleted after 30 days; another home keeps 365" == finding.found
    assert finding.fix.endswith(f'  # look: there must be "cleanupPeriodDays": 365 in {path}')


def test_what_the_inventory_asks_for_is_told(accounts: list[Account]) -> None:
    finding = judge(accounts, 100).judge(accounts[1])

    assert finding is not None
    assert finding.found.endswith("after 30 days; the inventory asks for 100")


@pytest.mark.parametrize("value", [0, -5, 5.5, "365", True, [30]])
def test_value_that_is_no_number_of_days_is_told(accounts: list[Account], value: object) -> None:
    days(accounts[0], value)

    assert ["invalid", None] == states(accounts)


def test_settings_that_cannot_be_read_are_told_apart_and_blank_ones_say_nothing(
    accounts: list[Account],
) -> None:
    path = Path(accounts[0].home) / "settings.json"
    path.write_text("{")
    assert ["unreadable", None] == states(accounts)

    path.write_text(" \n")
    assert [None, None] == states(accounts)


def test_managed_settings_win(accounts: list[Account], session: Session) -> None:
    managed = Path(accounts[0].home).parent / "managed-settings.json"
    managed.write_text('{"cleanupPeriodDays": 90}')
    days(accounts[0], 5)
    days(session, 5)
    assert [None, None] == states(accounts)
    assert judge(accounts).judge_project(session) is None

    assert ["too-short", "too-short"] == states(accounts, 91)


def test_managed_settings_are_blamed_by_their_own_path_drop_ins_first(
    accounts: list[Account], session: Session
) -> None:
    machine = Path(accounts[0].home).parent
    (machine / "managed-settings.d").mkdir()
    (machine / "managed-settings.json").write_text('{"cleanupPeriodDays": 90}')
    parts = {"10-a.json": "30", "20-b.json": "7", "30-c.json": None, "40.txt": "1", ".50.json": "1"}
    for name, number in parts.items():
        content = "{}" if number is None else f'{{"cleanupPeriodDays": {number}}}'
        (machine / "managed-settings.d" / name).write_text(content)
    days(accounts[0], 400)
    finding = judge(accounts, 60).judge(accounts[0])
    assert finding is not None
    path = machine / "managed-settings.d" / "20-b.json"
    assert finding.found.startswith(f"{path} lets them be deleted after 7 days")
    assert finding.fix.endswith(f'  # look: there must be "cleanupPeriodDays": 60 in {path}')
    path.write_text("{")
    finding = judge(accounts, 60).judge(accounts[0])
    assert finding is not None
    assert ("unreadable", True) == (finding.state, str(path) in finding.found)
    assert accounts[0].home not in str(finding)


def told(finding: Finding | None) -> tuple[str | None, str] | None:
    return (finding.session, finding.state) if finding else None


def test_project_may_lengthen_and_not_shorten(accounts: list[Account], session: Session) -> None:
    assert judge(accounts).judge_project(session) is None
    days(session, 30)
    assert judge(accounts).judge_project(session) is None
    days(session, 7)
    assert ("api", "too-short") == told(judge(accounts).judge_project(session))
    days(session, 365, "settings.local.json")
    assert judge(accounts).judge_project(session) is None
    days(session, 0, "settings.local.json")
    assert ("api", "invalid") == told(judge(accounts).judge_project(session))


def test_project_whose_settings_cannot_be_read_is_told_apart(
    accounts: list[Account], session: Session
) -> None:
    (Path(session.directory) / ".claude" / "settings.json").mkdir()

    assert ("api", "unreadable") == told(judge(accounts).judge_project(session))
