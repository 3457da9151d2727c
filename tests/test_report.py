"""The report: whole or not at all, never somebody else's file, never yesterday's green."""

from __future__ import annotations

import json
import os
import resource
import stat
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from launcher.errors import NotJudged
from launcher.report import publish, read
from tests.vm import UNPRIVILEGED, Vm

KEY: dict[str, Any] = {"schema": 1, "verdict": "red"}


def test_report_is_pytests_document_with_one_more_key(vm: Vm) -> None:
    vm.run("check")
    document = json.loads(vm.report_path.read_text())
    assert {"failover", "created", "duration", "exitcode", "root", "summary", "tests"} <= set(
        document
    )
    assert [
        *("schema", "verdict", "reason", "host", "boot_id", "inventory", "demands", "started"),
        *("finished", "expected", "passed", "off", "failures", "warnings", "sessions"),
    ] == [key for key in document["failover"] if key != "uptime"]


def test_report_can_be_read_by_a_monitoring_user(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        publish(str(tmp_path / "report.json"), KEY)
    finally:
        os.umask(before)
    assert 0o644 == stat.S_IMODE((tmp_path / "report.json").stat().st_mode)


def test_directories_that_are_made_for_it_can_be_entered_by_a_monitoring_user(
    tmp_path: Path,
) -> None:
    (tmp_path / "there").mkdir(mode=0o710)
    before = os.umask(0o077)
    try:
        publish(str(tmp_path / "there" / "a" / "b" / "report.json"), KEY)
    finally:
        os.umask(before)
    modes = [stat.S_IMODE((tmp_path / "there" / one).stat().st_mode) for one in ("", "a", "a/b")]
    assert [0o710, 0o755, 0o755] == modes


def test_file_in_the_place_of_its_directory_is_told(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("precious")
    for path in (tmp_path / "a" / "report.json", tmp_path / "a" / "b" / "report.json"):
        with pytest.raises(NotJudged, match="Not a directory"):
            publish(str(path), KEY)
    assert "precious" == (tmp_path / "a").read_text()


def test_document_of_pytest_cannot_speak_for_the_verdict(tmp_path: Path) -> None:
    path = str(tmp_path / "report.json")
    publish(path, KEY, {"failover": {"schema": 1, "verdict": "green"}})
    assert "red" == read(path)["verdict"]


def test_directory_of_the_report_is_made(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "report.json"
    publish(str(path), KEY)
    assert KEY == read(str(path))


def test_reader_never_sees_a_torn_report(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    publish(str(path), KEY)
    over = threading.Event()
    seen: list[object] = []

    def read_on() -> None:
        while not over.is_set():
            seen.append(json.loads(path.read_text())["failover"]["schema"])

    reader = threading.Thread(target=read_on)
    reader.start()
    for number in range(300):
        publish(str(path), {**KEY, "number": number}, {"tests": ["x" * 2000]})
    over.set()
    reader.join()
    assert {1} == set(seen)
    assert ["report.json"] == os.listdir(tmp_path)


def test_symlink_of_the_users_own_is_followed(tmp_path: Path) -> None:
    (tmp_path / "far").mkdir()
    link = tmp_path / "report.json"
    link.symlink_to("far/there.json")
    for verdict in ("green", "red"):
        publish(str(link), {**KEY, "verdict": verdict})
        assert verdict == read(str(tmp_path / "far" / "there.json"))["verdict"]
    assert link.is_symlink()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make another user's link")
def test_symlink_of_another_user_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("precious")
    link = tmp_path / "report.json"
    link.symlink_to("precious")
    os.lchown(link, 12345, 12345)
    with pytest.raises(NotJudged, match="a symlink of another user's"):
        publish(str(link), KEY)
    assert "precious" == (tmp_path / "precious").read_text()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make another user's link")
def test_report_behind_a_symlink_of_another_user_is_left_alone(tmp_path: Path) -> None:
    """It is somebody else's report: neither replaced, nor removed because that was refused."""
    theirs = tmp_path / "theirs.json"
    publish(str(theirs), {**KEY, "verdict": "green"})
    before = theirs.stat()
    link = tmp_path / "report.json"
    link.symlink_to("theirs.json")
    os.lchown(link, 12345, 12345)
    with pytest.raises(NotJudged, match="a symlink of another user's"):
        publish(str(link), KEY)
    assert "green" == read(str(theirs))["verdict"]
    assert (before.st_ino, before.st_mtime_ns) == (theirs.stat().st_ino, theirs.stat().st_mtime_ns)


def test_file_that_is_no_report_is_kept(tmp_path: Path) -> None:
    """A wrong path in the inventory must not cost anybody a file."""
    path = tmp_path / "notes.txt"
    path.write_text("my notes")
    publish(str(path), KEY)
    publish(str(path), KEY)
    assert KEY == read(str(path))
    assert "my notes" == (tmp_path / "notes.txt.before-report").read_text()


def test_second_file_that_is_no_report_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("my notes")
    (tmp_path / "notes.txt.before-report").write_text("older notes")
    with pytest.raises(NotJudged, match=r"and .*before-report too"):
        publish(str(tmp_path / "notes.txt"), KEY)
    assert ("my notes", "older notes") == (
        (tmp_path / "notes.txt").read_text(),
        (tmp_path / "notes.txt.before-report").read_text(),
    )


@pytest.mark.parametrize("kind", ["directory", "fifo", "device", "socket below"])
def test_what_is_no_regular_file_is_left_alone(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "report.json"
    if kind == "directory":
        path.mkdir()
    elif kind == "fifo":
        os.mkfifo(path)
    elif kind == "device":
        path = Path("/dev/full")
    else:
        path.symlink_to("/dev/null")
    before = os.stat(path)
    with pytest.raises(NotJudged, match="no regular file"):
        publish(str(path), KEY)
    assert (before.st_ino, before.st_mode) == (os.stat(path).st_ino, os.stat(path).st_mode)


def test_left_over_of_a_killed_launcher_is_removed(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import os; print(os.getpid())"], stdout=-1, check=True
    )
    dead, alive = int(done.stdout), os.getppid()
    for pid in (dead, alive):
        (tmp_path / f".report.json.{pid}.new").write_text("{")
    publish(str(tmp_path / "report.json"), KEY)
    assert {f".report.json.{alive}.new", "report.json"} == set(os.listdir(tmp_path))


@pytest.fixture
def old_green(tmp_path: Path) -> Path:
    path = tmp_path / "state" / "report.json"
    publish(str(path), {**KEY, "verdict": "green"})
    return path


def publish_limited(path: Path) -> str:
    """Publish in a child that may write no byte into a file; return the error's text."""
    script = (
        "import resource, sys\nfrom launcher.errors import NotJudged\n"
        "from launcher.report import publish\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))\n"
        "try: publish(sys.argv[1], {'schema': 1, 'verdict': 'red'})\n"
        "except NotJudged as error: print(error)\n"
    )
    return subprocess.check_output([sys.executable, "-c", script, str(path)], text=True)


def test_old_green_does_not_survive_where_nothing_can_be_written(old_green: Path) -> None:
    assert f"the report cannot be published: {old_green}: File too large\n" == publish_limited(
        old_green
    )
    assert [] == os.listdir(old_green.parent)
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] != 0


def unprivileged_publish(path: Path) -> str:
    script = (
        "import sys\nfrom launcher.errors import NotJudged\nfrom launcher.report import publish\n"
        "try: publish(sys.argv[1], {'schema': 1, 'verdict': 'red'})\n"
        "except NotJudged as error: print(error)\n"
    )
    return subprocess.check_output(
        [*UNPRIVILEGED, sys.executable, "-c", script, str(path)], text=True
    )


def test_old_green_is_emptied_where_it_cannot_be_removed(old_green: Path) -> None:
    old_green.parent.chmod(0o500)
    text = unprivileged_publish(old_green)
    old_green.parent.chmod(0o700)
    assert f"the report cannot be published: {old_green}: Permission denied\n" == text
    assert b"" == old_green.read_bytes()


def test_old_green_that_can_be_neither_is_said_aloud(old_green: Path) -> None:
    old_green.chmod(0o400)
    old_green.parent.chmod(0o500)
    text = unprivileged_publish(old_green)
    old_green.parent.chmod(0o700)
    assert text.endswith(
        "an older report still stands there (Permission denied): do not trust it\n"
    )


def test_file_that_is_no_report_is_not_emptied_either(tmp_path: Path) -> None:
    (tmp_path / "report.json").write_text("my notes")
    publish_limited(tmp_path / "report.json")
    assert "my notes" == (tmp_path / "report.json").read_text()


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (None, "no report yet at .*: launcher check writes one"),
        ("", "the report is torn"),
        ('{"failover": {"sch', "the report is torn"),
        ("[]", "not a report of this version"),
        ('{"failover": {"schema": 2}}', "not a report of this version: .*schema 2, newer than"),
        ('{"failover": {"schema": true}}', "not a report of this version: .*schema True"),
        ('{"failover": 1}', "not a report of this version"),
        ("\xff\x00", "the report is torn"),
    ],
)
def test_report_that_makes_no_sense_is_told(
    tmp_path: Path, content: str | None, problem: str
) -> None:
    path = tmp_path / "report.json"
    if content is not None:
        path.write_bytes(content.encode("latin-1"))
    with pytest.raises(NotJudged, match=problem):
        read(str(path))


def test_report_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(NotJudged, match=r"cannot be read: .*Is a directory"):
        read(str(tmp_path))


def test_report_of_a_wrong_inventory_turns_unknown(vm: Vm) -> None:
    assert 0 == vm.run("check").returncode
    text = vm.inventory.read_text()
    vm.inventory.write_text(f"{text}\ntypo = 1\n")
    assert 78 == vm.run("check").returncode
    assert "unknown" == vm.report["verdict"]
    assert vm.report["reason"].startswith(
        "the inventory is wrong or missing: launcher.typo: unknown"
    )


def test_report_of_another_inventory_is_left_alone(vm: Vm) -> None:
    """The default place is one for all inventories of a user."""
    default = vm.user_home / ".local" / "state" / "claude-failover" / "report.json"
    key = {"schema": 1, "verdict": "green", "inventory": "/etc/claude-failover/failover.toml"}
    publish(str(default), key)
    vm.inventory.write_text("= nonsense")
    assert 78 == vm.run("check").returncode
    assert "green" == read(str(default))["verdict"]
