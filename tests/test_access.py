"""Who counts as another, with users and groups that a test cannot make and so describes."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from invariants.access import access_list, other_writers, unlisted_source, user_name
from tests.healthy.world import acl

ALICE, BOB, CAROL, NOBODYS = 1000, 1001, 1002, 4242

USERS = [
    SimpleNamespace(pw_name="alice", pw_uid=ALICE, pw_gid=1000),
    SimpleNamespace(pw_name="bob", pw_uid=BOB, pw_gid=1001),
    SimpleNamespace(pw_name="carol", pw_uid=CAROL, pw_gid=1003),
    SimpleNamespace(pw_name="dave", pw_uid=1004, pw_gid=1003),
    SimpleNamespace(pw_name="erin", pw_uid=1005, pw_gid=1005),
    SimpleNamespace(pw_name="erin2", pw_uid=1005, pw_gid=1005),
    SimpleNamespace(pw_name="frank", pw_uid=1006, pw_gid=4242),
    SimpleNamespace(pw_name="grace", pw_uid=1009, pw_gid=1009),
    SimpleNamespace(pw_name="root", pw_uid=0, pw_gid=0),
]
GROUPS = [
    SimpleNamespace(gr_name="alice", gr_gid=1000, gr_mem=[]),
    SimpleNamespace(gr_name="bob", gr_gid=1001, gr_mem=["alice"]),
    SimpleNamespace(gr_name="staff", gr_gid=1003, gr_mem=[]),
    SimpleNamespace(gr_name="erin", gr_gid=1005, gr_mem=["erin"]),
    SimpleNamespace(gr_name="empty", gr_gid=1007, gr_mem=[]),
    SimpleNamespace(gr_name="alices", gr_gid=1008, gr_mem=["alice"]),
    SimpleNamespace(gr_name="people", gr_gid=1009, gr_mem=[]),
    SimpleNamespace(gr_name="root", gr_gid=0, gr_mem=[]),
]


def user(uid: int) -> SimpleNamespace:
    return {entry.pw_uid: entry for entry in reversed(USERS)}[uid]


def group(gid: int) -> SimpleNamespace:
    return {entry.gr_gid: entry for entry in GROUPS}[gid]


@pytest.fixture
def nsswitch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Return what replaces nsswitch.conf(5)."""

    def write(text: str) -> None:
        file = tmp_path / "nsswitch.conf"
        file.write_text(text)
        monkeypatch.setattr("invariants.access.NSSWITCH", str(file))

    return write


@pytest.fixture
def _people(monkeypatch: pytest.MonkeyPatch, nsswitch: Callable[[str], None]) -> None:
    """Replace passwd(5), group(5) and nsswitch.conf(5)."""
    nsswitch("passwd: files systemd\ngroup: files [SUCCESS=merge] systemd\n")
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
        pytest.param(0o664, 1009, 1009, "group people", id="primary-group-of-another-name"),
        pytest.param(0o664, 0, 0, "group root", id="group-of-root"),
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


USER_OBJ, USER, GROUP_OBJ, GROUP, MASK, OTHER = 1, 2, 4, 8, 16, 32
NOBODY = 2**32 - 1


@pytest.mark.usefixtures("_people")
@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        pytest.param([(USER, 7, BOB)], "user bob (access list)", id="user"),
        pytest.param([(USER, 5, BOB)], None, id="user-who-reads"),
        pytest.param([(USER, 7, BOB), (MASK, 5, NOBODY)], None, id="user-behind-the-mask"),
        pytest.param([(USER, 7, ALICE)], None, id="the-owner-by-name"),
        pytest.param([(USER, 7, 0)], None, id="root-by-name"),
        pytest.param([(USER, 2, NOBODYS)], "user uid 4242 (access list)", id="user-of-no-name"),
        pytest.param([(GROUP, 7, 1000)], None, id="private-group-by-name"),
        pytest.param([(GROUP, 7, 1003)], "group staff (access list)", id="group"),
        pytest.param([(GROUP, 5, 1003)], None, id="group-that-reads"),
        pytest.param([(GROUP, 7, 0)], "group root (access list)", id="group-of-root-by-name"),
        pytest.param(
            [(USER, 7, BOB), (USER, 7, CAROL), (GROUP, 7, 1003)],
            "user bob (access list), user carol (access list), group staff (access list)",
            id="several",
        ),
    ],
)
def test_access_list_counts_entry_by_entry(
    tmp_path: Path, entries: list[tuple[int, int, int]], expected: str | None
) -> None:
    file = tmp_path / "file"
    file.touch()
    masks = [] if any(tag == MASK for tag, _, _ in entries) else [(MASK, 7, NOBODY)]
    owners = [(USER_OBJ, 7, NOBODY), (GROUP_OBJ, 7, NOBODY), (OTHER, 5, NOBODY)]
    acl(file, *sorted([*owners, *masks, *entries]))
    found = file.stat()
    assert bool(found.st_mode & stat.S_IWGRP) == (not entries or entries[-1] != (MASK, 5, NOBODY))
    made = status(found.st_mode, ALICE, 1000)
    assert expected == other_writers(made, str(file))
    with file.open() as opened:
        assert expected == other_writers(made, opened.fileno())


@pytest.mark.usefixtures("_people")
def test_owning_group_without_its_bit_in_the_list_is_no_writer(tmp_path: Path) -> None:
    """The group bits of the mode hold the list's mask, not what the owning group may do."""
    acl(
        tmp_path,
        (USER_OBJ, 7, NOBODY),
        (USER, 7, ALICE),
        (GROUP_OBJ, 5, NOBODY),
        (MASK, 7, NOBODY),
        (OTHER, 5, NOBODY),
    )
    assert 0o775 == stat.S_IMODE(tmp_path.stat().st_mode)
    assert other_writers(status(0o775, ALICE, 1003), str(tmp_path)) is None
    assert "group staff" == other_writers(status(0o775, ALICE, 1003))


@pytest.mark.parametrize("content", [b"", b"\2\0", b"\2\0\0\0\1\0", b"\3\0\0\0"])
def test_access_list_of_another_form_is_not_passed_over(
    monkeypatch: pytest.MonkeyPatch, content: bytes
) -> None:
    monkeypatch.setattr("invariants.access.os.getxattr", lambda *_: content)
    with pytest.raises(OSError, match="its access list is"):
        access_list("/")


def test_file_without_an_access_list_has_none(tmp_path: Path) -> None:
    assert () == access_list(str(tmp_path)) == access_list("/proc/self")


@pytest.mark.usefixtures("_people")
@pytest.mark.parametrize(
    ("text", "source"),
    [
        ("passwd: files\ngroup: files\n", None),
        ("", None),
        ("group:files db altfiles extrausers systemd # sss", None),
        ("  group:   files [NOTFOUND=return] systemd", None),
        ("hosts: files dns\nnetgroup: nis\nshadow: files sss", None),
        ("group: files sss", "sss"),
        ("group: sss [!UNAVAIL=return] files", "sss"),
        ("group: files ldap", "ldap"),
        ("group: files\ninitgroups: files winbind", "winbind"),
        ("group: files\npasswd: files nis", "nis"),
    ],
)
def test_group_is_private_only_where_everyone_in_it_can_be_listed(
    nsswitch: Callable[[str], None], text: str, source: str | None
) -> None:
    nsswitch(text)
    assert source == unlisted_source()
    found = f"group alice (whose members in {source} cannot be listed)" if source else None
    assert found == other_writers(status(0o664, ALICE, 1000))
    assert "group staff" == other_writers(status(0o664, CAROL, 1003))
    assert other_writers(status(0o644, ALICE, 1000)) is None


@pytest.mark.parametrize(("line", "source"), [("root:x:0:", None), ("+::::::", "nis")])
def test_compat_lists_everyone_unless_its_files_ask_for_more(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    nsswitch: Callable[[str], None],
    line: str,
    source: str | None,
) -> None:
    nsswitch("passwd: compat\ngroup: compat\n")
    file = tmp_path / "group"
    file.write_text(f"root:x:0:\n{line}\n")
    monkeypatch.setattr("invariants.access._FILES", (str(file),))
    assert source == unlisted_source()
    file.unlink()
    assert "nis" == unlisted_source()


def test_missing_nsswitch_means_the_files_and_an_unreadable_one_means_nobody_knows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("invariants.access.NSSWITCH", str(tmp_path / "none"))
    assert unlisted_source() is None
    monkeypatch.setattr("invariants.access.NSSWITCH", str(tmp_path))
    assert f"{tmp_path}, which cannot be read (Is a directory)," == unlisted_source()
