"""Where a transcript is, whether it has turns, and how an older client finds it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from uuid import uuid4, uuid5

import pytest

from invariants.folders import folder_of
from launcher.transcripts import (
    Transcript,
    begun_by_launchers,
    is_begun,
    look_for,
    make_reachable,
)

ID = "11111111-2222-3333-4444-555555555555"
TURN = json.dumps({"type": "user"})


@pytest.fixture
def projects(tmp_path: Path) -> Path:
    path = tmp_path / "projects"
    path.mkdir()
    return path


def write(projects: Path, directory: Path, content: str = f"{TURN}\n", name: str = ID) -> Path:
    folder = folder_of(str(directory))
    assert folder is not None
    path = projects / folder / f"{name}.jsonl"
    path.parent.mkdir(exist_ok=True)
    path.write_text(content)
    return path


@pytest.mark.parametrize(
    "content", ["", "\0" * 9000, '{"type": "mode"}\n', TURN[:9]], ids=["0", "NUL", "mode", "torn"]
)
def test_transcript_without_a_turn_is_empty(projects: Path, tmp_path: Path, content: str) -> None:
    assert Transcript.ABSENT is look_for(str(projects), ID)
    write(projects, tmp_path, content)
    assert Transcript.EMPTY is look_for(str(projects), ID)
    assert not is_begun(str(projects), str(tmp_path), ID)


def test_turns_are_found_in_any_folder_or_only_in_the_directory_s(
    projects: Path, tmp_path: Path
) -> None:
    write(projects, tmp_path / "elsewhere")
    (projects / "a file").write_text("")
    assert Transcript.BEGUN is look_for(str(projects), ID)
    assert not is_begun(str(projects), str(tmp_path), ID)
    assert is_begun(str(projects), str(tmp_path / "elsewhere"), ID)


def test_folder_that_is_no_session_s_is_passed_over_and_its_own_is_not(
    projects: Path, tmp_path: Path
) -> None:
    folder = projects / str(folder_of(str(tmp_path)))
    folder.symlink_to(folder.name)  # a loop cannot be looked into, not even by root
    assert Transcript.ABSENT is look_for(str(projects), ID, [str(tmp_path / "elsewhere")])
    write(projects, tmp_path / "elsewhere")
    assert Transcript.BEGUN is look_for(str(projects), ID)
    with pytest.raises(OSError, match="Too many levels"):
        look_for(str(projects), str(uuid4()), [str(tmp_path)])


def test_its_own_folder_is_looked_into_before_all_others(
    projects: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What hangs in the folder of another project does not matter to a session with turns."""
    write(projects, tmp_path)

    def hang(*_: object) -> None:
        raise AssertionError("the other folders are looked for")

    monkeypatch.setattr(os, "scandir", hang)
    assert Transcript.BEGUN is look_for(str(projects), ID, [str(tmp_path)])


def test_transcript_of_that_id_that_cannot_be_read_is_told_wherever_it_is(
    projects: Path, tmp_path: Path
) -> None:
    path = projects / "another" / f"{ID}.jsonl"
    path.parent.mkdir()
    path.symlink_to(path.name)
    with pytest.raises(OSError, match="Too many levels"):
        look_for(str(projects), ID)


def test_folder_with_a_hash_in_its_name_is_looked_for(projects: Path, tmp_path: Path) -> None:
    long = tmp_path / ("x" * 201)
    assert folder_of(str(long)) is None
    path = projects / "only-the-client-knows" / f"{ID}.jsonl"
    path.parent.mkdir()
    path.write_text(f"{TURN}\n")
    assert is_begun(str(projects), str(long), ID)
    make_reachable(str(projects), str(long), ID)
    assert [path.parent] == list(projects.iterdir())


def test_transcript_of_another_directory_is_reached_over_a_symlink(
    projects: Path, tmp_path: Path
) -> None:
    path = write(projects, tmp_path / "old")
    for _ in range(2):
        make_reachable(str(projects), str(tmp_path / "new"), ID)
    link = projects / str(folder_of(str(tmp_path / "new"))) / path.name
    assert (True, True) == (link.is_symlink(), link.samefile(path))
    assert not os.path.isabs(os.readlink(link))
    assert 0o700 == link.parent.stat().st_mode & 0o777
    assert not path.is_symlink()


def test_what_is_in_the_folder_already_is_left_alone(projects: Path, tmp_path: Path) -> None:
    write(projects, tmp_path / "old")
    there = write(projects, tmp_path / "new", "something else")
    make_reachable(str(projects), str(tmp_path / "new"), ID)
    assert "something else" == there.read_text()


def test_only_ids_that_a_launcher_made_are_listed(projects: Path, tmp_path: Path) -> None:
    assert [] == list(begun_by_launchers(str(projects), str(tmp_path)))
    own, clients = str(uuid5(uuid4(), "x")), str(uuid4())
    for name in (own, clients):
        write(projects, tmp_path, name=name)
    (write(projects, tmp_path).parent / own).mkdir()  # of its subagents
    assert [own] == list(begun_by_launchers(str(projects), str(tmp_path)))
