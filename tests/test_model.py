"""The objects that an inventory becomes."""

from __future__ import annotations

import pytest

from invariants.model import Account, Inventory, Link, Session, Settings

BACKUP = Account("backup", "/home/u/.claude-backup")
SETTINGS = Settings("auto", "/state", "/state/report.json", 30.0, 1.0)
INVENTORY = Inventory("/f.toml", (Link("projects", "/p"),), (BACKUP,), (), SETTINGS)


def test_entry_stands_in_the_home_under_the_links_name() -> None:
    assert "/home/u/.claude-backup/projects" == BACKUP.entry(Link("projects", "/data/elsewhere"))


def test_account_is_found_by_name() -> None:
    assert BACKUP is INVENTORY.account("backup")


def test_account_that_nobody_defines_is_a_key_error() -> None:
    with pytest.raises(KeyError, match="primary"):
        INVENTORY.account("primary")


def test_inventory_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        INVENTORY.path = "/other"  # type: ignore[misc]  # it is frozen: that is the test


@pytest.mark.parametrize(
    ("failover", "expected"),
    [
        (None, ["backup", "primary", "third"]),
        ((), ["backup"]),
        (("third",), ["backup", "third"]),
        (("third", "backup", "primary"), ["backup", "primary", "third"]),
    ],
)
def test_session_may_run_under_its_own_account_and_those_it_names(
    failover: tuple[str, ...] | None, expected: list[str]
) -> None:
    accounts = tuple(Account(name, f"/{name}") for name in ("primary", "backup", "third"))
    session = Session("api", "backup", "/", ("claude",), failover=failover)
    inventory = Inventory("/f.toml", INVENTORY.links, accounts, (session,), SETTINGS)

    assert expected == [account.name for account in inventory.accounts_for(session)]
    assert [name in expected for name in ("primary", "backup", "third")] == [
        session.may_run_under(name) for name in ("primary", "backup", "third")
    ]
