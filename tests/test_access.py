"""Who counts as another, with users and groups that a test cannot make and so describes."""

from __future__ import annotations

import os
import stat
from types import SimpleNamespace

import pytest

from invariants.access import other_writers, user_name

ALICE, BOB, CAROL, NOBODYS = 1000, 1001, 1002, 4242

USERS = [
    SimpleNamespace(pw_name="alice", pw_uid=ALICE, pw_gid=1000),
    SimpleNamespace(pw_name="bob", pw_uid=BOB, pw_gid=1001),
    SimpleNamespace(pw_name="carol", pw_uid=CAROL, pw_gid=1003),
    SimpleNamespace(pw_name="dave", pw_uid=1004, pw_gid=1003),
    SimpleNamespace(pw_name="erin", pw_uid=1005, pw_gid=1005),
    SimpleNamespace(pw_name="erin2", pw_uid=1005, pw_gid=1005),
    SimpleNamespace(pw_name="frank", pw_uid=1006, pw_gid=4242),
]
GROUPS = [
    SimpleNamespace(gr_name="alice", gr_gid=1000, gr_mem=[]),
    SimpleNamespace(gr_name="bob", gr_gid=1001, gr_mem=["alice"]),
    SimpleNamespace(gr_name="staff", gr_gid=1003, gr_mem=[]),
    SimpleNamespace(gr_name="erin", gr_gid=1005, gr_mem=["erin"]),
    SimpleNamespace(gr_name="empty", gr_gid=1007, gr_mem=[]),
    SimpleNamespace(gr_name="alices", gr_gid=1008, gr_mem=["alice"]),
]


def user(uid: int) -> SimpleNamespace:
    return {entry.pw_uid: entry for entry in reversed(USERS)}[uid]


def group(gid: int) -> SimpleNamespace:
    return {entry.gr_gid: entry for entry in GROUPS}[gid]


@pytest.fixture
def _people(monkeypatch: pytest.MonkeyPatch) -> None:
    """Replace passwd(5) and group(5)."""
    people = SimpleNamespace(getpwuid=user, getpwall=lambda: USERS)
    monkeypatch.setattr("invariants.access.pwd", people)
    monkeypatch.setattr("invariants.access.grp", SimpleNamespace(getgrgid=group))


def status(mode: int, uid: int, gid: int) -> os.stat_result:
    return os.stat_result((stat.S_IFREG | mode, 0, 0, 1, uid, gid, 0, 0, 0, 0))


@pytest.mark.usefixtures("_people")
@pytest.mark.parametrize(
    ("mode", "uid", "gid", "expected"),
    [
        pytest.param(0o600, ALICE, 1003, None, id="private-file"),
        pytest.param(0o644, ALICE, 1003, None, id="readable-file"),
        pytest.param(0o755, ALICE, 1003, None, id="executable-file"),
        pytest.param(0o602, ALICE, 1000, "everyone", id="world-writable"),
        pytest.param(0o662, ALICE, 1003, "everyone", id="everyone-includes-the-group"),
        pytest.param(0o664, ALICE, 1000, None, id="private-group"),
        pytest.param(0o664, 1005, 1005, None, id="private-group-that-lists-its-user"),
        pytest.param(0o664, BOB, 1001, "group bob", id="own-group-with-a-guest"),
        pytest.param(0o664, CAROL, 1003, "group staff", id="primary-group-of-another-too"),
        pytest.param(0o664, ALICE, 1001, "group bob", id="group-of-another-user"),
        pytest.param(0o664, ALICE, 1007, "group empty", id="empty-group"),
        pytest.param(0o664, ALICE, 1008, "group alices", id="group-that-is-not-the-primary"),
        pytest.param(0o664, ALICE, NOBODYS, "group 4242", id="group-without-a-name"),
        pytest.param(0o664, 1006, 4242, "group 4242", id="primary-group-without-a-name"),
        pytest.param(0o664, NOBODYS, 1000, "group alice", id="owner-without-a-name"),
    ],
)
def test_others_who_can_write_are_named(
    mode: int, uid: int, gid: int, expected: str | None
) -> None:
    assert expected == other_writers(status(mode, uid, gid))


@pytest.mark.usefixtures("_people")
def test_user_is_named_by_login_or_by_number() -> None:
    assert "bob" == user_name(BOB)
    assert "uid 4242" == user_name(NOBODYS)


def test_this_machines_users_are_read() -> None:
    assert "root" == user_name(0)
    assert "uid 3999999999" == user_name(3_999_999_999)
