"""Which programs are Claude Code itself, and which may start it with options of their own."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from invariants.wrappers import is_client_itself
from tests import client


def script(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(["#!/bin/sh", *lines, ""]))
    path.chmod(0o700)
    return path


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """Return a program where Claude Code's own installer puts it, by the symlink to it."""
    return client.put(tmp_path / "claude", "#!/bin/sh\nexec sleep 600\n")


def test_program_that_the_installer_put_there(installed: Path) -> None:
    assert is_client_itself(str(installed))


def test_program_that_npm_put_there(tmp_path: Path) -> None:
    package = tmp_path / "node_modules" / "@anthropic-ai" / "claude-code"
    package.mkdir(parents=True)
    script(package / "cli.js", "exec sleep 600")
    (tmp_path / "claude").symlink_to(package / "cli.js")

    assert is_client_itself(str(tmp_path / "claude"))


@pytest.mark.parametrize(("size", "itself"), [(64, False), (16 * 1024 * 1024, True)])
def test_binary_counts_by_its_size(tmp_path: Path, size: int, itself: bool) -> None:
    program = tmp_path / "claude"
    program.write_bytes(b"\x7fELF")
    os.truncate(program, size)

    assert itself == is_client_itself(str(program))


@pytest.mark.parametrize(
    "line", ['exec "{}" "$@"', "exec '{}' \"$@\"", 'exec {} "$@"', '  exec   "{}"   "$@" ;']
)
def test_script_that_only_starts_it(tmp_path: Path, installed: Path, line: str) -> None:
    wrapper = script(tmp_path / "wrapper", "# the installer's", "", line.format(installed))
    around = script(tmp_path / "around", f'exec {wrapper} "$@"')

    assert is_client_itself(str(wrapper))
    assert is_client_itself(str(around))


@pytest.mark.parametrize(
    "lines",
    [
        ['exec {} --settings hooks.json "$@"'],
        ['exec {} "$@" --settings hooks.json'],
        ["exec {}"],
        ["exec {} $@"],
        ['{} "$@"'],
        ["export A=1", 'exec {} "$@"'],
        ['exec env A=1 {} "$@"'],
        ['exec claude "$@"'],
        ['exec "$HOME/claude" "$@"'],
        ['exec {} "$@" || exit 1'],
        ['exec {} "$@"', 'exec {} --settings hooks.json "$@"'],
        [],
    ],
)
def test_script_that_may_do_more(
    tmp_path: Path, installed: Path, lines: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # a name without a path is looked up elsewhere
    wrapper = script(tmp_path / "wrapper", *(line.format(installed) for line in lines))

    assert not is_client_itself(str(wrapper))


def test_script_that_starts_itself(tmp_path: Path) -> None:
    path = tmp_path / "wrapper"

    assert not is_client_itself(str(script(path, f'exec {path} "$@"')))


def test_what_cannot_be_read(tmp_path: Path, installed: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    script(tmp_path / "long", f'exec {installed} "$@"', f"# {'x' * 5000}")

    for name in ("missing", "fifo", "long", "."):
        assert not is_client_itself(str(tmp_path / name))
