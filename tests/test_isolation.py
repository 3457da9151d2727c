"""The files of a login: one home's alone, and nobody else's to read."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from invariants.finding import Finding
from invariants.isolation import OWN_FILES, Isolation
from invariants.model import Account

CREDENTIALS, STATE = OWN_FILES


@pytest.fixture
def accounts(tmp_path: Path) -> list[Account]:
    for name in ("primary", "backup"):
        (tmp_path / name).mkdir()
    return [Account(name, str(tmp_path / name)) for name in ("primary", "backup")]


def write(account: Account, name: str = CREDENTIALS, mode: int = 0o600) -> Path:
    path = Path(account.home) / name
    path.write_text('{"secret": 1}')
    path.chmod(mode)
    return path


def judged(accounts: list[Account], name: str = CREDENTIALS) -> list[Finding | None]:
    isolation = Isolation(accounts)
    return [isolation.judge(account, name) for account in accounts]


def states(accounts: list[Account], name: str = CREDENTIALS) -> list[str | None]:
    return [finding.state if finding else None for finding in judged(accounts, name)]


@pytest.mark.parametrize("name", OWN_FILES)
def test_files_of_ones_own_and_missing_ones_are_right(accounts: list[Account], name: str) -> None:
    write(accounts[0], name)

    assert [None, None] == judged(accounts, name)


@pytest.mark.parametrize("name", OWN_FILES)
def test_link_is_told_wherever_it_leads(accounts: list[Account], name: str) -> None:
    target = write(accounts[0], name)
    link = Path(accounts[1].home) / name
    link.symlink_to(target)
    _, finding = judged(accounts, name)
    assert finding is not None
    assert ("backup", "symlink", f"{name} is a symlink to {target}") == (
        finding.account,
        finding.state,
        finding.found,
    )
    assert f"mkdir {link}.aside && mv -n {link} {link}.aside/" in finding.fix

    target.unlink()
    _, finding = judged(accounts, name)
    assert finding is not None
    assert f"{name} is a symlink that leads nowhere" == finding.found


def test_file_of_two_homes_is_told_once_by_the_later(accounts: list[Account]) -> None:
    path = write(accounts[0])
    os.link(path, Path(accounts[1].home) / CREDENTIALS)
    first, second = judged(accounts)

    assert first is None
    assert second is not None
    assert ("shared", f"{CREDENTIALS} is the very file of primary") == (second.state, second.found)


def test_fix_of_a_shared_file_parts_the_two(accounts: list[Account]) -> None:
    path = write(accounts[0])
    os.link(path, Path(accounts[1].home) / CREDENTIALS)
    _, finding = judged(accounts)
    assert finding is not None
    assert 0 == os.system(finding.fix)

    assert [None, None] == judged(accounts)
    assert '{"secret": 1}' == (Path(accounts[1].home) / CREDENTIALS).read_text()


def test_second_name_elsewhere_is_told(accounts: list[Account], tmp_path: Path) -> None:
    os.link(write(accounts[0]), tmp_path / "kept")

    assert ["hard-linked", None] == states(accounts)


@pytest.mark.parametrize(("mode", "state"), [(0o640, "readable-by-others"), (0o600, None)])
def test_credentials_are_nobody_elses_to_read(
    accounts: list[Account], mode: int, state: str | None
) -> None:
    write(accounts[0], CREDENTIALS, mode)

    assert [state, None] == states(accounts)


@pytest.mark.parametrize(("mode", "state"), [(0o646, "writable-by-others"), (0o644, None)])
def test_state_is_nobody_elses_to_write(
    accounts: list[Account], mode: int, state: str | None
) -> None:
    write(accounts[0], STATE, mode)

    assert [state, None] == states(accounts, STATE)


def test_what_is_no_file_is_told(accounts: list[Account]) -> None:
    os.mkfifo(Path(accounts[0].home) / CREDENTIALS)
    (Path(accounts[1].home) / CREDENTIALS).mkdir()
    findings = judged(accounts)

    assert ["not-a-file", "not-a-file"] == [finding and finding.state for finding in findings]
    assert ["is a named pipe", "is a directory"] == [
        finding and finding.found.removeprefix(f"{CREDENTIALS} ") for finding in findings
    ]


def test_what_cannot_be_looked_at_is_told_apart(accounts: list[Account]) -> None:
    home = Path(accounts[0].home)
    home.rmdir()
    home.symlink_to(home)

    assert ["unreadable", None] == states(accounts)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_file_of_another_user_is_told(accounts: list[Account]) -> None:
    os.chown(write(accounts[0]), 12345, 12345)

    assert ["not-yours", None] == states(accounts)


def test_file_that_is_replaced_while_it_is_judged_is_ones_own(accounts: list[Account]) -> None:
    for account in accounts:
        write(account)
    isolation = Isolation(accounts)
    assert isolation.judge(accounts[0], CREDENTIALS) is None
    path = Path(accounts[1].home, CREDENTIALS)
    new = path.with_name("new")
    new.write_text("renewed")
    new.chmod(0o600)
    new.rename(path)
    assert isolation.judge(accounts[1], CREDENTIALS) is None


def test_file_whose_inode_was_another_homes_a_moment_ago_is_ones_own(
    accounts: list[Account],
) -> None:
    first, second = (write(account) for account in accounts)
    isolation = Isolation(accounts)
    assert isolation.judge(accounts[0], CREDENTIALS) is None
    first.rename(second)  # what was the first account's inode is the second one's file now
    assert isolation.judge(accounts[1], CREDENTIALS) is None
