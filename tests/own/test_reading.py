"""Directories of own invariants: what in them is read, and what others could have changed."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from invariants.own.contents import MAX_BYTES
from invariants.own.reading import read_own
from invariants.own.trust import Untrusted, trusted

TEST = "def test_{}():\n    assert max(0, 1)\n"


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """Return a directory with one file of one test."""
    directory = tmp_path / "invariants.d"
    directory.mkdir(mode=0o700)
    write(directory / "test_a.py")
    return directory


def write(path: Path, text: str | None = None, mode: int = 0o600) -> Path:
    path.write_text(text if text is not None else TEST.format(path.stem.removeprefix("test_")))
    path.chmod(mode)
    return path


def problems(*directories: Path) -> list[str]:
    """Return what could not be judged in *directories*, by the last part of its path."""
    found = read_own(map(str, directories)).unjudged
    return [f"{os.path.basename(one.path)}: {one.reason}" for one in found]


def names(*directories: Path) -> list[str]:
    return [os.path.basename(file.path) for file in read_own(map(str, directories)).files]


def test_files_are_read_in_the_order_of_their_names(own: Path) -> None:
    write(own / "test_c.py")
    write(own / "test_b.py")
    assert (["test_a.py", "test_b.py", "test_c.py"], []) == (names(own), problems(own))


def test_what_is_no_python_is_left_alone(own: Path) -> None:
    for name in ("README", "notes.txt", "test_a.py~", ".test_b.py.swp", ".hidden.py"):
        write(own / name, "")
    (own / "__pycache__").mkdir()
    (own / ".git").mkdir()
    assert (["test_a.py"], []) == (names(own), problems(own))


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("conftest.py", "is not read: a file of own invariants stands for itself"),
        ("__init__.py", "would not be run: name it test_*.py"),
        ("disk_test.py", "would not be run: name it test_*.py"),
        ("tests_disk.py", "would not be run: name it test_*.py"),
        ("test_disk-room.py", "would not be run: name it test_*.py"),
    ],
)
def test_python_that_would_not_run_is_not_passed_over(own: Path, name: str, reason: str) -> None:
    write(own / name)
    (problem,) = problems(own)
    assert problem.startswith(f"{name}: {reason}")
    assert ["test_a.py"] == names(own)


def test_a_directory_with_nothing_to_judge_is_told(own: Path, tmp_path: Path) -> None:
    (own / "test_a.py").unlink()
    expected = "invariants.d: holds no test_*.py: write one, or take the directory out"
    assert [expected] == problems(own)
    assert ["gone: cannot be read: No such file or directory"] == problems(tmp_path / "gone")
    write(tmp_path / "file")
    assert ["file: cannot be read: Not a directory"] == problems(tmp_path / "file")


def test_a_directory_within_is_not_passed_over(own: Path) -> None:
    (own / "more").mkdir()
    expected = "invariants.d: holds a directory, more, which is not looked into: name it"
    assert ([expected], []) == (problems(own), names(own))


def test_one_name_for_two_invariants_is_refused(own: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.d"
    other.mkdir(mode=0o700)
    write(other / "test_b.py", TEST.format("a"))
    assert [f"test_b.py: test_a is defined in {own}/test_a.py already"] == problems(own, other)


def test_a_file_that_is_too_large_or_no_file_is_told(own: Path) -> None:
    write(own / "test_large.py", "#" * (MAX_BYTES + 1))
    os.mkfifo(own / "test_pipe.py")
    (own / "test_loop.py").symlink_to("test_loop.py")
    assert [
        f"test_large.py: is too large: at most {MAX_BYTES} bytes are read",
        "test_loop.py: cannot be read: Too many levels of symbolic links",
        "test_pipe.py: cannot be read: no regular file",
    ] == problems(own)


@pytest.mark.parametrize("mode", [0o622, 0o602, 0o666])
def test_a_file_that_others_can_write_is_refused(own: Path, mode: int) -> None:
    file = write(own / "test_a.py", mode=mode)
    (problem,) = problems(own)
    assert re.fullmatch(
        rf"test_a\.py: {file} can be written by .+ \(fix: chmod go-w {file}\)", problem
    )


@pytest.mark.parametrize("mode", [0o777, 0o1777])
def test_a_directory_that_others_can_add_to_is_refused(own: Path, mode: int) -> None:
    own.chmod(mode)
    assert [f"invariants.d: {own} can be written by everyone (fix: chmod go-w {own})"] == problems(
        own
    )


def test_a_directory_above_that_others_can_write_is_refused(own: Path) -> None:
    above = own.parent
    above.chmod(0o777)
    (problem,) = problems(own)
    assert f"{above} can be written by everyone" in problem
    above.chmod(0o1777)  # sticky: what it holds cannot be renamed by others
    assert [] == problems(own)
    above.chmod(0o700)


def test_each_step_of_a_symlink_must_be_trusted(own: Path, tmp_path: Path) -> None:
    open_to_all = tmp_path / "open"
    open_to_all.mkdir()
    (open_to_all / "hop").symlink_to(own)
    link = tmp_path / "link"
    link.symlink_to("./open/../open/hop")
    assert ["test_a.py"] == names(link)
    open_to_all.chmod(0o777)
    assert [
        f"link: {open_to_all} can be written by everyone (fix: chmod go-w {open_to_all})"
    ] == problems(link)


def test_what_belongs_to_another_user_is_refused(
    own: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if os.geteuid() == 0:
        os.chown(own / "test_a.py", 65534, -1)
    else:  # only root can give a file away; so be somebody else
        monkeypatch.setattr(os, "geteuid", lambda: 65533)
    (problem,) = problems(own)
    assert problem.endswith("who could change it")


def test_a_path_is_trusted_up_to_its_end(tmp_path: Path) -> None:
    assert os.path.realpath(tmp_path) == trusted(f"{tmp_path}/./")
    tmp_path.chmod(0o777)
    with pytest.raises(Untrusted):
        trusted(str(tmp_path))
    tmp_path.chmod(0o700)
