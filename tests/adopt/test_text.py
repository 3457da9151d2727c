"""Words, numbers and progress."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest

from launcher.adopt import text
from launcher.adopt.text import Progress
from tests.adopt.world import World


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path).fill(
        {b"new": b"n" * 5_000_000, b"n": b"1", b"same": b""}, {b"n": b"2", b"same": b""}
    )


def test_outcome_is_one_paragraph_with_every_number_and_place(world: World) -> None:
    words = text.outcome_text(world.adopt(keep_both=True))
    (kept,) = world.dated("kept")
    assert 1 == words.count("\n")
    assert words.startswith(
        "backup projects: adopted; 1 file (5.0 MB) taken over, 1 file (0 bytes) already there, "
        "1 file (1 bytes) of which both are kept. "
    )
    assert f"there are two of: {kept}." in words
    assert f"The old directory is {world.old}." in words
    assert "`launcher adopt backup projects --undo` goes back" in words
    assert words.endswith(f"it may be removed: rm -r {world.old}\n")
    assert "nothing to do" in text.outcome_text(world.adopt())
    assert "nothing to do" in text.plan_text(world.adopt(dry_run=True))


def test_plan_names_every_file_on_a_line_of_its_own(world: World) -> None:
    lines = text.plan_text(world.adopt(dry_run=True, keep_both=True)).splitlines()
    assert [
        f"backup projects: {world.entry} -> {world.target}",
        "  keep both               n",
        "  take over               new",
        "  there                   same",
    ] == lines[:-1]
    assert lines[-1].startswith("would adopt it: 1 file (5.0 MB) taken over")


def test_progress_is_for_a_terminal_only(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    reader, writer = os.pipe()
    real, ticks = os.write, iter(range(1000))
    monkeypatch.setattr(time, "monotonic", lambda: next(ticks))
    monkeypatch.setattr(os, "write", lambda fd, data: real(writer if fd == 2 else fd, data))
    quiet = Progress()
    quiet(world.subject, 1, 2, 10, 20)
    quiet.end()
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    progress = Progress()
    progress(world.subject, 1, 2, 1_500_000_000, 2_000_000_000)
    progress.end()
    os.close(writer)
    line = b"\rbackup projects: 1 of 2 files, 1.5 GB of 2.0 GB"
    with os.fdopen(reader, "rb") as pipe:
        assert line + b"\r" + b" " * (len(line) - 1) + b"\r" == pipe.read()


def test_terminal_that_is_gone_stops_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(descriptor: int, data: bytes) -> int:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    progress = Progress()
    monkeypatch.setattr(time, "monotonic", lambda: 1e12)
    monkeypatch.setattr(os, "write", refuse)
    progress(world.subject, 1, 2, 10, 20)
