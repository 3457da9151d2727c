"""Whatever stands where a report should be is told of, and none of it hangs or ends the rest."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.fleets import FETCHED
from launcher.fleet.source import LIMIT
from launcher.fleet.sources import filed
from tests.fleet.fetched import Caller, Fetched
from tests.vm import CHECKOUT, UNPRIVILEGED


def fifo(path: Path) -> None:
    os.mkfifo(path)


def unix_socket(path: Path) -> None:
    # A name of at most 108 bytes: bound beside, then moved.
    with socket.socket(socket.AF_UNIX) as made:
        here = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            made.bind(f"/proc/self/fd/{here}/{path.name}")
        finally:
            os.close(here)


def huge(path: Path) -> None:
    path.touch()
    os.truncate(path, 1 << 30)


ODD: dict[str, tuple[Callable[[Path], object], str]] = {
    "empty": (lambda path: path.touch(), "it is empty"),
    "torn": (lambda path: path.write_text('{"failover": {"schema": 1, "verd'), "it is torn"),
    "not JSON": (lambda path: path.write_text("red\n"), "it is torn"),
    "not text": (lambda path: path.write_bytes(b"\xff\x00\xfe" * 9), "it is torn"),
    "deep": (lambda path: path.write_text("[" * 100_000), "it is torn"),
    "list": (lambda path: path.write_text("[]"), "it is JSON, but no report"),
    "history": (lambda path: path.write_text('{"changes": []}'), "it is JSON, but no report"),
    "newer": (
        lambda path: path.write_text('{"failover": {"schema": 2, "host": "vm-7"}}'),
        "it is of schema 2, newer than this claude-failover, which reads 1: upgrade it here",
    ),
    "older": (lambda path: path.write_text('{"failover": {"schema": 0}}'), "it is of schema 0"),
    "no schema": (lambda path: path.write_text('{"failover": {}}'), "it is of schema None"),
    "half a key": (
        lambda path: path.write_text('{"failover": {"schema": 1, "verdict": "green"}}'),
        "it is not as a report is",
    ),
    "huge": (huge, "it has 1074 MB: no report is larger than 34 MB"),
    "fifo": (fifo, "it is no regular file"),
    "socket": (unix_socket, "it is no regular file"),
    "dangling": (lambda path: path.symlink_to("nowhere"), "no report: there is no such file"),
    "loop": (lambda path: path.symlink_to(path), "cannot be read: Too many levels of symbolic"),
    "directory's loop": (lambda path: path.symlink_to(".."), "it is a symlink to a directory"),
    "empty directory": (lambda path: path.mkdir(), "no report: the directory is empty"),
}


@pytest.mark.parametrize("name", ODD)
def test_what_is_no_report_is_told_of_and_the_rest_is_read(
    fetched: Fetched, call: Caller, name: str
) -> None:
    make, words = ODD[name]
    for vm in ("vm-1", "vm-9"):
        fetched.add(vm)
    path = fetched.path("vm-7")
    path.parent.mkdir(parents=True)
    make(path)
    answer = call()
    assert 70 == answer.code
    line = answer.line("vm-7")
    assert line.startswith("unknown  vm-7 ")
    assert f"{path}: " in line
    assert words in line
    assert answer.text.endswith("\nunknown: 1 of 3 VMs is unknown, 2 green\n")


@pytest.mark.parametrize("name", ["torn", "huge", "fifo", "socket", "dangling", "loop", "empty"])
def test_file_that_is_named_is_told_of_too(fetched: Fetched, call: Caller, name: str) -> None:
    make, words = ODD[name]
    path = fetched.root / "vm-7.json"
    make(path)
    answer = call(paths=[path])
    assert 70 == answer.code
    assert words in answer.line("vm-7")


def test_directory_without_a_report_is_not_green(fetched: Fetched, call: Caller) -> None:
    answer = call()
    assert 70 == answer.code
    assert f"{fetched.root}: no report: the directory is empty" in answer.text


def test_directory_with_nothing_but_hidden_files_is_not_green(
    fetched: Fetched, call: Caller
) -> None:
    (fetched.root / ".gitignore").touch()
    fetched.write(fetched.root / ".git" / "config", "")
    answer = call()
    assert (70, 1) == (answer.code, answer.text.count("the directory is empty"))


def test_report_that_is_being_written_is_passed_over_and_not_taken_for_one(
    fetched: Fetched, call: Caller
) -> None:
    fetched.add("vm-1")
    fetched.write(fetched.path("vm-1").with_name(".report.json.4711.new"), "{")
    assert 0 == call().code
    fetched.path("vm-1").unlink()
    assert "no report: the directory is empty" in call().line("vm-1")


def test_path_that_is_not_there_is_told_of(fetched: Fetched, call: Caller) -> None:
    answer = call(paths=[fetched.root / "vm-3" / "report.json"])
    assert 70 == answer.code
    assert "no report: there is no such file" in answer.line("vm-3")


def test_what_may_not_be_read_is_told_of(fetched: Fetched) -> None:
    """In a process without root's capabilities."""
    fetched.add("vm-1")
    (fetched.root / "vm-2").mkdir(mode=0)
    fetched.add("vm-3")
    fetched.path("vm-3").chmod(0)
    command = [*UNPRIVILEGED, sys.executable, "-m", "launcher", "fleet", str(fetched.root)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=CHECKOUT)
    (fetched.root / "vm-2").chmod(0o700)
    assert (70, "") == (done.returncode, done.stderr)
    assert f"{fetched.root}/vm-2: it cannot be read: Permission denied" in done.stdout
    assert f"{fetched.path('vm-3')}: it cannot be read: Permission denied" in done.stdout
    assert "2 of 3 VMs are unknown, 1 green" in done.stdout


def test_symlinks_to_reports_and_to_paths_are_followed(fetched: Fetched, call: Caller) -> None:
    fetched.add("vm-1", at=fetched.root.parent / "elsewhere" / "report.json")
    (fetched.root / "vm-1.json").symlink_to("../elsewhere/report.json")
    named = fetched.root.parent / "named"
    named.symlink_to(fetched.root)
    assert 0 == call().code
    assert 0 == call(paths=[named]).code


def test_file_that_grows_while_it_is_read_is_read_as_far_as_it_was(
    fetched: Fetched, call: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetched.add("vm-1")
    path, read = fetched.path("vm-1"), os.read

    def growing(descriptor: int, size: int) -> bytes:
        assert path.stat().st_size < 20_000, "it is read for as long as it grows"
        with path.open("a") as file:
            file.write("more")
        return read(descriptor, min(size, 1000))

    monkeypatch.setattr(os, "read", growing)
    assert 0 == call().code


def test_report_that_is_as_large_as_allowed_is_read(fetched: Fetched, call: Caller) -> None:
    fetched.add("vm-1")
    with fetched.path("vm-1").open("a") as file:
        file.write(" " * (LIMIT - file.tell()))
    assert 0 == call().code


@pytest.mark.parametrize(
    ("parts", "name"),
    [
        (f"reports/vm-7/{FETCHED}", "vm-7"),
        (f"vm-7/{FETCHED}", "vm-7"),
        (f"reports/prod/vm-7/{FETCHED}", "vm-7"),
        ("reports/vm-7/report.json", "vm-7"),
        ("reports/vm-7/claude.json", "vm-7"),
        ("reports/vm-7.json", "vm-7"),
        ("vm-7/report.json", "vm-7"),
        ("vm-7.json", "vm-7"),
        ("report.json", "report"),
    ],
)
def test_name_by_the_directory(parts: str, name: str) -> None:
    assert name == filed(parts.split("/"))


def test_directories_of_the_vms_can_be_named_one_by_one(fetched: Fetched, call: Caller) -> None:
    fetched.add("vm-1")
    fetched.path("vm-7").parent.mkdir(parents=True)
    answer = call(paths=sorted(fetched.root.iterdir()))
    assert answer.line("vm-1").startswith("green ")
    assert answer.line("vm-7").startswith("unknown ")
