"""What kind of file an inventory may be: readable, sane in size and form, and safe from others."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from invariants.inventory import InventoryError, load
from tests.vm import CHECKOUT

GID = 54321
VALID = b'[shared]\nroot = "/srv"\n[[accounts]]\nname = "a"\nhome = "/a"\n'


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Return a valid inventory in a directory of its own."""
    directory = tmp_path / "conf"
    directory.mkdir(mode=0o700)
    path = directory / "failover.toml"
    path.write_bytes(VALID)
    path.chmod(0o600)
    return path


@pytest.fixture
def foreign_group(monkeypatch: pytest.MonkeyPatch) -> str:
    """Let every group be one that others are in; a test can make neither groups nor members."""
    group = SimpleNamespace(gr_name="staff", gr_mem=["somebody", "else"])
    monkeypatch.setattr("invariants.access.grp", SimpleNamespace(getgrgid=lambda _: group))
    return "group staff"


@pytest.fixture
def private_group(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the file's group be the user's private one: root's is never that."""
    if os.geteuid() == 0:
        os.chown(file, 0, GID)
        os.chown(file.parent, 0, GID)
    user = SimpleNamespace(pw_name="me", pw_uid=os.geteuid(), pw_gid=file.stat().st_gid)
    group = SimpleNamespace(gr_name="me", gr_mem=[])
    users = SimpleNamespace(getpwuid=lambda _: user, getpwall=lambda: [user])
    monkeypatch.setattr("invariants.access.pwd", users)
    monkeypatch.setattr("invariants.access.grp", SimpleNamespace(getgrgid=lambda _: group))


def refusal(path: Path) -> tuple[str, ...]:
    with pytest.raises(InventoryError) as caught:
        load(str(path))
    assert (str(path),) == caught.value.paths
    told = [f"{path}: {problem}" for problem in caught.value.problems]
    assert told == str(caught.value).splitlines()
    return caught.value.problems


@pytest.mark.parametrize(
    "content",
    [
        VALID,
        b"\xef\xbb\xbf" + VALID,
        VALID.replace(b"\n", b"\r\n"),
        b"\xef\xbb\xbf" + VALID.replace(b"\n", b"\r\n"),
    ],
    ids=["plain", "bom", "crlf", "bom-crlf"],
)
def test_marks_of_other_editors_are_taken(file: Path, content: bytes) -> None:
    file.write_bytes(content)

    assert ["a"] == [account.name for account in load(str(file)).accounts]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"x = 1\ny = = 2\n", "not TOML: Invalid value (at line 2, column 5)"),
        (b"x = 1\r\ny = = 2\r\n", "not TOML: Invalid value (at line 2, column 5)"),
        (b"x = 1\nx = 2\n", "not TOML: Cannot overwrite a value (at line 2, column 6)"),
        (b"x = 1\ny = 'caf\xe9'\n", "not UTF-8: byte 0xe9 (at line 2)"),
        (b"\xef\xbb\xbfx = 1\ny = '\xff'\n", "not UTF-8: byte 0xff (at line 2)"),
        (b"\xff\xfex\0=\0001\0", "not UTF-8: byte 0xff (at line 1)"),
        (b"x = " + b"[" * 100_000, "not an inventory: nested too deeply"),
        (b"x = " + b"{a=" * 100_000, "not an inventory: nested too deeply"),
        (b"x = " + b"9" * 5000, "not an inventory: holds a number too long"),
    ],
    ids=lambda value: value[:12],
)
def test_content_that_is_no_toml_is_refused(file: Path, content: bytes, expected: str) -> None:
    file.write_bytes(content)

    assert (expected,) == refusal(file)


@pytest.mark.parametrize("content", [b"\0" * 100, b"\x7fELF\x02\x01", b"<html>\n", b"{}"])
def test_content_of_another_kind_is_refused_with_the_place(file: Path, content: bytes) -> None:
    file.write_bytes(content)
    (problem,) = refusal(file)

    assert problem.startswith("not TOML: ")
    assert problem.endswith("(at line 1, column 1)")


def test_ten_megabytes_are_refused_unread(file: Path) -> None:
    file.write_bytes(b"x\n" * 5 * 1024 * 1024)

    assert ("is too large: 10485760 bytes, at most 4194304 are read",) == refusal(file)


def test_empty_file_is_refused_with_what_is_missing(file: Path) -> None:
    file.write_bytes(b"")

    assert (
        "shared.root: is missing",
        "accounts: there is none; write at least one [[accounts]] table",
    ) == refusal(file)


@pytest.mark.parametrize("name", ["nowhere.toml", "nowhere/failover.toml", "failover.toml/x"])
def test_absent_file_is_refused(file: Path, name: str) -> None:
    assert ("does not exist",) == refusal(file.parent / name)


def test_directory_is_refused(file: Path) -> None:
    assert ("is a directory",) == refusal(file.parent)


def test_socket_is_refused(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(file.parent)  # an address is 108 bytes at most
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket")

        assert ("cannot be read: No such device or address",) == refusal(file.parent / "socket")


def test_fifo_is_refused_and_not_waited_for(file: Path) -> None:
    fifo = file.parent / "fifo"
    os.mkfifo(fifo, 0o600)
    code = f"from invariants.inventory import load; load({str(fifo)!r})"
    child = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": str(CHECKOUT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )

    assert f"InventoryError: {fifo}: is not a regular file" in child.stderr


@pytest.mark.parametrize("mode", [0o602, 0o666, 0o622])
def test_file_that_everyone_can_write_is_refused_with_the_fix(file: Path, mode: int) -> None:
    file.chmod(mode)

    assert (f"can be written by everyone (fix: chmod go-w {file})",) == refusal(file)


def test_fix_of_a_writable_file_can_be_pasted(file: Path) -> None:
    spaced = file.rename(file.with_name("fail over.toml"))
    spaced.chmod(0o666)
    (problem,) = refusal(spaced)
    fix = problem.partition("(fix: ")[2].removesuffix(")")
    subprocess.run(["sh", "-c", fix], check=True)

    assert 0o644 == spaced.stat().st_mode & 0o777
    load(str(spaced))


def test_file_that_a_foreign_group_can_write_is_refused(file: Path, foreign_group: str) -> None:
    file.chmod(0o660)

    assert (f"can be written by {foreign_group} (fix: chmod go-w {file})",) == refusal(file)


@pytest.mark.usefixtures("foreign_group")
def test_file_that_a_foreign_group_can_read_is_taken(file: Path) -> None:
    file.chmod(0o644)

    load(str(file))


@pytest.mark.usefixtures("private_group")
def test_file_that_the_private_group_can_write_is_taken(file: Path) -> None:
    file.chmod(0o660)
    file.parent.chmod(0o770)

    load(str(file))


@pytest.mark.parametrize("mode", [0o770, 0o730])
def test_directory_that_a_foreign_group_can_write_is_refused(
    file: Path, foreign_group: str, mode: int
) -> None:
    file.parent.chmod(mode)
    directory = file.parent
    refused = f"can be replaced by {foreign_group}, who can write {directory}"

    assert (f"{refused} (fix: chmod go-w {directory})",) == refusal(file)


def test_sticky_directory_is_taken(file: Path) -> None:
    """As in /tmp, where only its owner can replace a file."""
    file.parent.chmod(0o1777)

    load(str(file))


def test_writable_directory_is_refused_behind_a_symlink_and_around_it(file: Path) -> None:
    around = file.parent / "around"
    around.mkdir()
    link = around / "failover.toml"
    link.symlink_to(file)
    load(str(link))

    around.chmod(0o777)
    (problem,) = refusal(link)
    assert problem.startswith(f"can be replaced by everyone, who can write {around} ")

    around.chmod(0o700)
    file.parent.chmod(0o777)
    (problem,) = refusal(link)
    assert problem.startswith(f"can be replaced by everyone, who can write {file.parent} ")


def test_directory_that_is_reached_by_two_names_is_told_once(file: Path, tmp_path: Path) -> None:
    file.parent.chmod(0o777)
    (tmp_path / "other").symlink_to(file.parent)

    assert 1 == len(refusal(tmp_path / "other" / file.name))


def test_file_and_directory_are_told_at_once(file: Path) -> None:
    file.chmod(0o666)
    file.parent.chmod(0o777)

    assert 2 == len(refusal(file))


def test_file_of_another_user_is_refused(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Root gives it away; anybody else pretends to be another."""
    if os.geteuid() == 0:
        os.chown(file, 54321, -1)
        owner = "uid 54321"
    else:
        import pwd

        owner = pwd.getpwuid(os.geteuid()).pw_name
        monkeypatch.setattr("invariants.inventory.os.geteuid", lambda: 54321)

    assert (f"belongs to {owner}, who could change what is run as you",) == refusal(file)


def test_owner_root_is_no_reason_to_refuse(monkeypatch: pytest.MonkeyPatch) -> None:
    """Seen by a file of root's that every machine has, though it is no inventory."""
    monkeypatch.setattr("invariants.inventory.os.geteuid", lambda: 54321)
    (problem,) = refusal(Path("/etc/passwd"))

    assert problem.startswith("not TOML: ")


UNSAFE = "can be written by everyone (fix: chmod go-w {file})"


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (
            b"[zzz]\n" + VALID,
            "zzz: unknown key; known are accounts, invariants, launcher, sessions, shared, watch",
        ),
        (b"= 1", "not TOML: Invalid statement (at line 1, column 1)"),
        (b"x = " + b"[" * 100_000, "not an inventory: nested too deeply"),
        (b"x = " + b"9" * 5000, "not an inventory: holds a number too long"),
        (b"x = '\xff'", "not UTF-8: byte 0xff (at line 1)"),
        (b"x\n" * 3_000_000, "is too large: 6000000 bytes, at most 4194304 are read"),
    ],
    ids=lambda value: value[:12],
)
def test_unsafe_file_is_told_with_all_else_that_is_wrong(
    file: Path, content: bytes, problem: str
) -> None:
    file.write_bytes(content)
    file.chmod(0o666)

    assert (UNSAFE.format(file=file), problem) == refusal(file)


@pytest.mark.parametrize("more", ["", "[zzz]\n"])
def test_unsafe_file_does_not_say_where_a_report_is_written(file: Path, more: str) -> None:
    file.write_bytes(VALID + f'[launcher]\nreport = "/r/report.json"\n{more}'.encode())
    file.chmod(0o666)
    with pytest.raises(InventoryError) as caught:
        load(str(file))

    assert caught.value.report is None


@pytest.mark.parametrize(
    ("launcher", "expected"),
    [
        ('report = "/r/report.json"', "/r/report.json"),
        ('state = "/s"', "/s/report.json"),
        ('report = "/a/report.json"', None),
        ('report = "/r/report.json"\nstate = "/a/state"', None),
        ("report = 5", None),
        ("state = 5", None),
        ('report = "/r/report.json"\ntimeout = 0', "/r/report.json"),
    ],
)
def test_refusal_names_the_report_unless_that_is_what_is_wrong(
    file: Path, launcher: str, expected: str | None
) -> None:
    """A report inside a home must not be written there to say that it must not be there."""
    file.write_bytes(VALID + f"[launcher]\n{launcher}\n[zzz]\n".encode())
    with pytest.raises(InventoryError) as caught:
        load(str(file))

    assert expected == caught.value.report


def test_refusal_names_no_report_where_its_table_is_none(file: Path) -> None:
    file.write_bytes(b"launcher = 5\n" + VALID)
    with pytest.raises(InventoryError) as caught:
        load(str(file))

    assert caught.value.report is None
