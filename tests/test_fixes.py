"""Command lines for a fix: pasted into a shell they do what they say, or fail aloud."""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from invariants.finding import quoted
from invariants.fixes import (
    as_root,
    copied_apart,
    free_name,
    given_back,
    is_immutable,
    look,
    noted,
    set_aside,
    set_aside_as_root,
    to_get_access,
    words_only,
)
from tests.places import NEEDS_ROOT
from tests.shell_lines import is_a_line_for_a_shell
from tests.vm import UNPRIVILEGED, snapshot

Make = Callable[[Path], object]
OBSTACLES: list[Make] = [
    Path.mkdir,
    Path.touch,
    lambda path: path.symlink_to("nonexistent"),
    lambda path: path.symlink_to(path.parent),
]
NAMES = ["directory", "file", "dangling", "link-to-a-directory"]


def pasted(line: str, *prefix: str) -> subprocess.CompletedProcess[str]:
    """Run a line as an operator with a POSIX shell would, not as root."""
    command = [*(prefix or UNPRIVILEGED), "sh", "-c", line]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture
def entry(tmp_path: Path) -> Path:
    """Return a name in a directory of its own that a shell must not take apart."""
    (tmp_path / "a home").mkdir()
    return tmp_path / "a home" / "it's $HOME"


def test_name_is_free_though_others_are_taken(entry: Path) -> None:
    assert f"{entry}.aside" == free_name(str(entry), "aside")
    Path(f"{entry}.aside").symlink_to("nonexistent")
    Path(f"{entry}.aside-2").mkdir()
    assert f"{entry}.aside-3" == free_name(str(entry), "aside")


@pytest.mark.parametrize(
    "make",
    [
        lambda path: path.write_text("x"),
        lambda path: path.symlink_to("nonexistent"),
        lambda path: path.symlink_to("."),
        os.mkfifo,
    ],
    ids=["file", "dangling", "link-to-a-directory", "fifo"],
)
def test_what_is_no_directory_is_moved_as_it_is(entry: Path, make: Make) -> None:
    make(entry)
    before = entry.lstat()
    done = pasted(set_aside(str(entry), "aside"))
    assert (0, "", "") == (done.returncode, done.stdout, done.stderr)
    assert not os.path.lexists(entry)
    assert before.st_ino == (Path(f"{entry}.aside") / entry.name).lstat().st_ino


@pytest.mark.parametrize("obstacle", OBSTACLES, ids=NAMES)
def test_name_that_was_taken_meanwhile_fails_aloud(entry: Path, obstacle: Make) -> None:
    entry.write_text("precious")
    line = set_aside(str(entry), "aside")
    obstacle(Path(f"{entry}.aside"))
    before = snapshot(entry.parent)
    done = pasted(f"{line} && echo on")
    assert (1, "") == (done.returncode, done.stdout)
    assert "File exists" in done.stderr
    assert before == snapshot(entry.parent)


@pytest.mark.parametrize("shell", ["sh", "bash"])
def test_note_is_no_part_of_the_command(shell: str) -> None:
    line = noted(quoted("echo", "a # b"), "first end every Claude Code process of backup")
    command = [shell, "-c", line]
    assert "a # b\n" == subprocess.check_output(command, text=True)


def test_line_that_only_looks_says_so(entry: Path) -> None:
    line = look("ls", "-d", str(entry), note="where it leads")
    assert line.endswith("  # look: where it leads")
    entry.touch()
    assert f"{entry}\n" == pasted(line).stdout


PROSE = [
    'set "cleanupPeriodDays": 90 in /x',
    "let it be read",
    "give backup a home of its own",
    "launcher ensure && rm -r /x",
    "ls 'x",
    "",
    "ls a\nls b",
]


@pytest.mark.parametrize("line", PROSE)
def test_prose_is_no_line_for_a_shell(line: str) -> None:
    assert not is_a_line_for_a_shell(line)
    assert is_a_line_for_a_shell(words_only(line))


@pytest.mark.parametrize("shell", ["sh", "bash"])
@pytest.mark.parametrize("text", [*PROSE, 'it\'s "that" $(touch x) `touch x`'])
def test_words_do_nothing_in_a_shell(tmp_path: Path, shell: str, text: str) -> None:
    for line in (words_only(text), noted("true", text), look("true", note=text)):
        done = subprocess.run(
            [shell], input=f"{line}\necho $?\n", capture_output=True, text=True, cwd=tmp_path
        )
        assert (0, "0\n", "") == (done.returncode, done.stdout, done.stderr)
    assert [] == list(tmp_path.iterdir())


def test_what_takes_root_is_asked_of_sudo(monkeypatch: pytest.MonkeyPatch, entry: Path) -> None:
    aside = set_aside(str(entry), "aside")
    assert ("mount /a", aside) == (as_root("mount", "/a"), set_aside_as_root(str(entry), "aside"))
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    line = set_aside_as_root(str(entry), "aside")
    assert ("sudo mount /a", ["sudo", "sh", "-c", aside]) == (
        as_root("mount", "/a"),
        shlex.split(line),
    )
    assert "sudo chown 1000 /a" == given_back("/a", 0) == given_back("/a", 12345)
    nobody = given_back("/a", 65534)
    assert nobody.startswith("ls -ld /a  # look: it belongs to nobody: run the launcher as nobody")
    assert nobody.endswith("sudo chown 1000 /a")


def test_file_with_two_names_is_copied_apart(entry: Path) -> None:
    entry.write_text("precious")
    entry.chmod(0o600)
    second = entry.with_name("second")
    second.hardlink_to(entry)
    done = pasted(copied_apart(str(entry)))
    assert (0, "", "") == (done.returncode, done.stdout, done.stderr)
    assert ("precious", "precious") == (entry.read_text(), second.read_text())
    assert (1, 0o600) == (entry.stat().st_nlink, entry.stat().st_mode & 0o777)
    assert {entry, second} == set(entry.parent.iterdir())


@NEEDS_ROOT
def test_immutable_directory_is_told_from_others(tmp_path: Path) -> None:
    assert not is_immutable(str(tmp_path))
    assert not is_immutable("/proc/self")  # where there are no attributes
    assert not is_immutable(str(tmp_path / "missing"))
    if subprocess.run(["chattr", "+i", tmp_path], capture_output=True).returncode:
        pytest.skip("no attributes of files here")
    found, fix = to_get_access(str(tmp_path), tmp_path.stat())
    assert is_immutable(str(tmp_path))
    assert "immutable (chattr +i)" in found
    assert 0 == subprocess.run(["sh", "-c", fix]).returncode
    assert not is_immutable(str(tmp_path))
