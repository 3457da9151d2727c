"""The objects that an inventory becomes."""

from __future__ import annotations

from dataclasses import FrozenInstanceError

import pytest

from invariants.model import Account, Inventory, Link, Settings

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
    with pytest.raises(FrozenInstanceError):
        INVENTORY.path = "/other"  # type: ignore[misc]  # it is frozen: that is the test
