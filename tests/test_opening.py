"""Opening what may be anything."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from invariants.opening import open_at_once


def test_directory_is_refused_and_leaves_no_descriptor_open(tmp_path: Path) -> None:
    before = os.listdir("/proc/self/fd")
    for _ in range(3):
        with pytest.raises(IsADirectoryError):
            open_at_once(str(tmp_path))
    assert before == os.listdir("/proc/self/fd")


def test_fifo_without_a_writer_is_open_at_once_and_has_nothing(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    with open_at_once(str(tmp_path / "fifo")) as file:
        assert b"" == file.read()


def test_symlink_is_followed_unless_that_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"text")
    (tmp_path / "link").symlink_to("file")
    with open_at_once(str(tmp_path / "link")) as file:
        assert b"text" == file.read()
        assert not os.get_inheritable(file.fileno())
    with pytest.raises(OSError, match="symbolic links"):
        open_at_once(str(tmp_path / "link"), os.O_NOFOLLOW)
