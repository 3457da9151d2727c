"""Command lines for a fix: pasted into a shell they do what they say, or fail aloud."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from invariants.finding import quoted
from invariants.fixes import free_name, look, noted, set_aside
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
