"""Where a program is found, as execvp(3) would, and where it must not be."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from invariants.model import Session
from invariants.programs import chosen_backend, find_program, runs_claude, session_program


def program(path: Path, mode: int = 0o755) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n")
    path.chmod(mode)
    return str(path)


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """Return an environment with two directories in PATH."""
    return {"PATH": f"{tmp_path}/first:{tmp_path}/second"}


def test_program_is_looked_up_in_path(tmp_path: Path, environ: dict[str, str]) -> None:
    expected = program(tmp_path / "second" / "claude")

    assert expected == find_program("claude", "/", environ)


def test_first_of_path_goes_first(tmp_path: Path, environ: dict[str, str]) -> None:
    program(tmp_path / "second" / "claude")
    expected = program(tmp_path / "first" / "claude")

    assert expected == find_program("claude", "/", environ)


@pytest.mark.parametrize("mode", [0o644, 0o000])
def test_file_that_is_not_executable_is_passed_over(
    tmp_path: Path, environ: dict[str, str], mode: int
) -> None:
    program(tmp_path / "first" / "claude", mode)
    assert find_program("claude", "/", environ) is None

    expected = program(tmp_path / "second" / "claude")
    assert expected == find_program("claude", "/", environ)


def test_directory_of_that_name_is_passed_over(tmp_path: Path, environ: dict[str, str]) -> None:
    (tmp_path / "first" / "claude").mkdir(parents=True)
    assert find_program("claude", "/", environ) is None

    expected = program(tmp_path / "second" / "claude")
    assert expected == find_program("claude", "/", environ)


def test_dangling_symlink_is_passed_over(tmp_path: Path, environ: dict[str, str]) -> None:
    (tmp_path / "first").mkdir()
    (tmp_path / "first" / "claude").symlink_to("nowhere")

    assert find_program("claude", "/", environ) is None


@pytest.mark.parametrize("path", ["", ":", ".", "bin", ":bin:", "./bin", "~/bin", "../cwd/bin"])
def test_relative_entries_of_path_are_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    """Each session runs elsewhere, and there anybody may have put a program of that name."""
    for directory in (".", "bin", "~/bin"):
        program(tmp_path / "cwd" / directory / "claude")
    monkeypatch.chdir(tmp_path / "cwd")

    assert find_program("claude", str(tmp_path / "cwd"), {"PATH": path}) is None


def test_absolute_entry_behind_a_relative_one_is_searched(tmp_path: Path) -> None:
    expected = program(tmp_path / "bin" / "claude")

    assert expected == find_program("claude", "/", {"PATH": f".::{tmp_path}/bin"})


def test_absent_path_means_the_systems() -> None:
    found = find_program("sh", "/", {})

    assert found in [f"{entry}/sh" for entry in os.defpath.split(":")]


@pytest.mark.parametrize("name", ["./run", "bin/run", "../there/run"])
def test_name_with_a_slash_starts_from_the_sessions_directory(
    tmp_path: Path, environ: dict[str, str], name: str
) -> None:
    program(tmp_path / "first" / "run")
    directory = tmp_path / "there"
    program(directory / "bin" / "run")
    program(directory / "run")

    found = find_program(name, str(directory), environ)

    assert found == f"{directory}/{name}"
    assert find_program(name, str(tmp_path / "elsewhere"), environ) is None


def test_absolute_name_is_taken_as_it_is(tmp_path: Path) -> None:
    expected = program(tmp_path / "run")

    assert expected == find_program(expected, str(tmp_path / "elsewhere"), {"PATH": ""})


@pytest.mark.parametrize("mode", [0o644, 0o000])
def test_path_that_is_not_executable_is_not_found(tmp_path: Path, mode: int) -> None:
    assert find_program(program(tmp_path / "run", mode), "/", {}) is None


def test_path_of_a_directory_is_not_found(tmp_path: Path) -> None:
    assert find_program(str(tmp_path), "/", {}) is None
    assert find_program("..", "/", {"PATH": str(tmp_path)}) is None


def test_sessions_program_is_the_first_word_of_its_command(tmp_path: Path) -> None:
    expected = program(tmp_path / "claude")
    session = Session("api", "primary", str(tmp_path), ("./claude", "--flag"))

    assert f"{tmp_path}/./claude" == session_program(session, {"PATH": ""})
    assert os.path.samefile(expected, f"{tmp_path}/./claude")


@pytest.mark.parametrize("setting", ["tmux", "process"])
@pytest.mark.parametrize("there", [True, False])
def test_backend_that_is_named_is_chosen(tmp_path: Path, setting: str, there: bool) -> None:
    if there:
        program(tmp_path / "tmux")

    assert setting == chosen_backend(setting, {"PATH": str(tmp_path)})


@pytest.mark.parametrize(
    ("mode", "expected"), [(0o755, "tmux"), (0o644, "process"), (None, "process")]
)
def test_auto_is_tmux_where_it_can_be_executed(
    tmp_path: Path, mode: int | None, expected: str
) -> None:
    if mode is not None:
        program(tmp_path / "tmux", mode)

    assert expected == chosen_backend("auto", {"PATH": str(tmp_path)})


@pytest.mark.parametrize(
    ("command", "expected"),
    [("claude", True), ("/opt/bin/claude", True), ("claude-code", False), ("sh", False)],
)
def test_claude_is_told_by_the_name_of_its_program(command: str, expected: bool) -> None:
    assert expected == runs_claude(Session("api", "primary", "/", (command, "claude")))
