"""Invariants of this machine's own: what must hold here besides what the launcher checks."""

import os

import pytest


@pytest.mark.fix("free some space there: conversations are lost on a full disk")
def test_target_has_room(link):
    """A target's file system has 100 MB to spare."""
    disk = os.statvfs(link.target)
    free = disk.f_bavail * disk.f_frsize // 1_000_000
    assert free >= 100, f"{free} MB are left at {link.target}"


@pytest.mark.fix("move the homes below one directory, which the backup covers")
def test_homes_are_side_by_side(inventory):
    """All homes lie in one directory, since the backup takes that one."""
    above = {os.path.dirname(account.home) for account in inventory.accounts}
    assert len(above) == 1


def test_session_works_outside_its_home(account, session):
    """A session does not work in the home of its account."""
    assert not session.directory.startswith(account.home + "/")
