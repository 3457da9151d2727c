"""What Claude Code's own `project purge` deletes in a linked home."""

from __future__ import annotations

import os
import subprocess
from uuid import uuid4

import pytest

from tests.claude.cli import CALM, Cli
from tests.claude.known import Known
from tests.claude.stub import ToolUse
from tests.vm import LINKS

pytestmark = pytest.mark.versions("2.1.332", "2.1.197", "2.1.150")  # 2.0.76 has no such command


def talk(claude: Cli) -> str:
    """Have a conversation that leaves something in each target; return its id."""
    session = str(uuid4())
    note = claude.directory / "note.txt"
    note.write_text("before\n")
    change = {"file_path": str(note), "old_string": "before", "new_string": "after"}
    claude.set_variable("primary", "OF_THE_SESSION", "kept")
    claude.stub.script(
        ToolUse("Read", {"file_path": str(note)}),
        ToolUse("Edit", change),
        ToolUse("Bash", {"command": "true", "description": "look"}),
        "done",
    )
    assert 0 == claude.run("primary", "change the note", "--session-id", session).returncode
    for link in LINKS:
        assert list(claude.vm.target(link).iterdir()), link
    return session


def purge(claude: Cli, *arguments: str) -> None:
    done = subprocess.run(
        [str(claude.program), "project", "purge", "--yes", *arguments],
        env=claude.environ("backup"),
        cwd=claude.vm.root,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=CALM,
    )
    assert 0 == done.returncode, done.stdout + done.stderr


def gone(claude: Cli, account: str) -> set[str]:
    """Return which of an account's links are no longer there."""
    return {link for link in LINKS if not os.path.lexists(claude.vm.entry(account, link))}


def test_purge_of_all_takes_the_links_and_leaves_what_is_behind_them(
    claude: Cli, known: Known
) -> None:
    session = talk(claude)
    purge(claude, "--all")
    assert gone(claude, "backup") == {"file-history", "projects"}
    assert not gone(claude, "primary")
    left = bool(claude.transcripts(session)) and any(claude.vm.target("file-history").iterdir())
    known.hold("`purge --all` takes a home's links, and leaves the transcripts", left)
    assert 1 == claude.vm.run("check").returncode
    assert 0 == claude.vm.run("ensure").returncode


def test_purge_of_a_directory_goes_through_the_links(claude: Cli, known: Known) -> None:
    session = talk(claude)
    purge(claude, str(claude.directory))
    assert not gone(claude, "backup")
    deleted = not claude.transcripts(session) and not any(
        claude.vm.target("file-history").iterdir()
    )
    known.hold("`purge DIRECTORY` deletes for all accounts", deleted)
    assert 0 == claude.vm.run("check").returncode
