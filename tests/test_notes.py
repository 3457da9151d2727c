"""Who has a conversation open: notes of processes that live, and command lines."""

from __future__ import annotations

import json
import os
import sys
from itertools import count
from pathlib import Path
from uuid import uuid4

import pytest

from invariants.command_line import named_in
from launcher.errors import Unavailable
from launcher.notes import as_id, live_notes, note_of, writers
from launcher.processes import Process, command_line, identify
from tests.leaders import Leaders
from tests.vm import wait_until

ID, OTHER = str(uuid4()), str(uuid4())  # tests run side by side, and all see all processes


def note(home: Path, process: Process, **keys: object) -> Path:
    path = home / "sessions" / f"{process.pid}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(
        json.dumps({"procStart": str(process.start), "sessionId": ID, "status": "idle", **keys})
    )
    return path


def test_note_of_a_living_process_counts(tmp_path: Path, leaders: Leaders) -> None:
    process = leaders.run("sleep", "600")
    note(tmp_path, process)
    assert [process] == writers(ID, [str(tmp_path)])
    assert [] == writers(OTHER, [str(tmp_path)])


def test_note_that_was_left_behind_counts_for_nobody(tmp_path: Path, leaders: Leaders) -> None:
    """Its process is dead, or its pid is a stranger's by now."""
    process = leaders.run("sleep", "600")
    note(tmp_path, Process(process.pid, process.start - 1))
    note(tmp_path, Process(4_000_000, 7))
    assert [] == writers(ID, [str(tmp_path)])
    assert note_of(str(tmp_path), process) is None
    assert note_of(str(tmp_path), Process(4_000_000, 7)) is not None


@pytest.mark.parametrize("keys", [{"procStart": None}, {"sessionId": None}])
def test_note_that_does_not_say_all_counts_for_whatever_has_the_pid(
    tmp_path: Path, leaders: Leaders, keys: dict[str, object]
) -> None:
    process = leaders.run("sleep", "600")
    note(tmp_path, process, **keys)
    assert [process] == writers(ID, [str(tmp_path)])


def test_note_that_is_being_written_counts(tmp_path: Path, leaders: Leaders) -> None:
    process = leaders.run("sleep", "600")
    note(tmp_path, process).write_text("[")
    assert [process] == writers(ID, [str(tmp_path)])
    (tmp_path / "sessions" / "other.json").write_text("{}")
    (tmp_path / "sessions" / "12.txt").write_text("{}")
    assert [process] == [one.process for one in live_notes(str(tmp_path))]


def test_command_line_counts_until_a_note_says_otherwise(tmp_path: Path, leaders: Leaders) -> None:
    process = leaders.run("sh", "-c", "sleep 600; :", "claude", "--resume", ID)
    wait_until(lambda: command_line(process)[-1:] == [ID], "it has become that command")
    assert [process] == writers(ID, [str(tmp_path)])
    note(tmp_path, process, sessionId=OTHER)
    assert [] == writers(ID, [str(tmp_path)])
    assert [process] == writers(OTHER, [str(tmp_path)])


def test_copy_of_a_writer_that_has_executed_nothing_yet_is_no_other(
    tmp_path: Path, leaders: Leaders
) -> None:
    """Between fork and exec a tool that Claude starts has the command line of its parent."""
    script = "import os, time; os.fork(); open(str(os.getpid()), 'w'); time.sleep(600)"
    process = leaders.run(sys.executable, "-c", script, "claude", "--resume", ID)
    wait_until(lambda: len(list(tmp_path.iterdir())) == 2, "both are there")
    assert [process] == writers(ID, [str(tmp_path)])
    note(tmp_path, process, sessionId=OTHER)
    assert [] == writers(ID, [str(tmp_path)])


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["claude", "--session-id", ID], True),
        (["claude", f"--resume={ID}"], True),
        (["claude", "-r", ID], True),
        (["claude", "--resume", OTHER, ID], False),
        (["claude", "--resume", ID, "--fork-session"], False),
        (["claude", "--resume", OTHER, "--fork-session", "--session-id", ID], True),
        (["grep", ID], False),
        (["sh", "-c", f"claude --resume {ID}"], False),
    ],
    ids=count(),
)
def test_words_that_name_a_conversation(words: list[str], expected: bool) -> None:
    assert expected == (named_in(words) == ID)


def test_home_without_notes_and_one_that_cannot_be_read(tmp_path: Path) -> None:
    assert [] == live_notes(str(tmp_path))
    (tmp_path / "sessions").symlink_to("sessions")
    with pytest.raises(Unavailable, match="symbolic links"):
        live_notes(str(tmp_path))


def test_note_that_cannot_be_opened_is_told(tmp_path: Path) -> None:
    process = identify(os.getppid())
    assert process is not None
    path = tmp_path / "sessions" / f"{process.pid}.json"
    path.parent.mkdir()
    path.symlink_to(path)
    with pytest.raises(Unavailable, match="symbolic links"):
        note_of(str(tmp_path), process)


@pytest.mark.parametrize(
    ("value", "expected"), [(ID.upper(), ID), ("no", None), (7, None)], ids=count()
)
def test_id_of_a_conversation_is_a_uuid(value: object, expected: str | None) -> None:
    assert expected == as_id(value)
