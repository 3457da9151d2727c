"""What the links are there for: a conversation goes on under another account."""

from __future__ import annotations

import os
from pathlib import Path
from uuid import uuid4

import pytest

from tests.adopt.world import unseen
from tests.claude.cli import CALM, Cli, key_of, turns_of
from tests.claude.stub import Failure, ToolUse
from tests.vm import LINKS, wait_until

ECHO = ToolUse("Bash", {"command": "echo variable=$OF_THE_SESSION", "description": "look"})


@pytest.fixture
def note(claude: Cli) -> Path:
    """Return a file that sessions edit."""
    path = claude.directory / "note.txt"
    path.write_text("before\n")
    return path


@pytest.fixture
def session() -> str:
    """Return the id of a conversation that does not exist yet."""
    return str(uuid4())


def edit(note: Path) -> list[ToolUse]:
    """Return what the model asks for to change a file: the CLI wants it read first."""
    change = {"file_path": str(note), "old_string": "before", "new_string": "after"}
    return [ToolUse("Read", {"file_path": str(note)}), ToolUse("Edit", change)]


def links(claude: Cli) -> dict[str, str]:
    return {
        f"{account} {link}": os.readlink(claude.vm.entry(account, link))
        for account in claude.vm.accounts
        for link in LINKS
    }


def test_conversation_goes_on_under_another_account(claude: Cli, note: Path, session: str) -> None:
    stub, before = claude.stub, links(claude)
    claude.set_variable("primary", "OF_THE_SESSION", "kept")
    stub.script(*edit(note), ECHO, "it says after now")
    first = claude.run("primary", "change the note", "--session-id", session)
    assert (0, "it says after now\n", "") == (first.returncode, first.stdout, first.stderr)
    assert "after\n" == note.read_text()
    (transcript,) = claude.transcripts(session)
    told = len(turns_of(transcript))
    seen = len(stub.turns)

    stub.script(ECHO, "and it still does")
    second = claude.run("backup", "and now?", "--resume", session)

    assert (0, "and it still does\n", "") == (second.returncode, second.stdout, second.stderr)
    asked, answered = stub.turns[seen:]
    assert key_of("backup") == asked.key == answered.key
    for words in ("change the note", "it says after now", "and now?", str(note)):
        assert words in asked.text
    assert "variable=kept" in str(answered.tool_results)
    assert [transcript] == claude.transcripts(session)
    turns = turns_of(transcript)
    assert told + 4 == len(turns)
    assert {session} == {turn["sessionId"] for turn in turns}
    for account in claude.vm.accounts:
        there = claude.vm.entry(account, "projects") / transcript.parent.name / transcript.name
        assert transcript.samefile(there)
    assert before == links(claude)
    assert 0 == claude.vm.run("check").returncode


def test_edit_under_one_account_is_rewound_under_another(
    claude: Cli, note: Path, session: str
) -> None:
    claude.stub.script(*edit(note), "done")
    claude.run("primary", "change the note", "--session-id", session)
    assert "after\n" == note.read_text()

    terminal = claude.open("backup", "/rewind", "--resume", session)
    terminal.choose("❯ (current)", "Up")
    terminal.choose(" ❯ change the note", "Enter")
    terminal.choose("❯ 1. Restore code and conversation", "Enter")

    wait_until(lambda: note.read_text() == "before\n", "the edit is undone", CALM)


def test_turn_that_met_a_limit_is_answered_under_another_account(claude: Cli, session: str) -> None:
    stub = claude.stub
    claude.run("primary", "the first prompt", "--session-id", session)
    stub.refuse(key_of("primary"), Failure(429, {"x-should-retry": "false"}))
    limited = claude.run("primary", "the second prompt", "--resume", session)
    assert 1 == limited.returncode
    assert "429" in limited.stdout

    stub.script("fine")
    resumed = claude.run("backup", "go on", "--resume", session)

    assert (0, "fine\n") == (resumed.returncode, resumed.stdout)
    last = stub.turns[-1]
    assert key_of("backup") == last.key
    for words in ("the first prompt", "the second prompt", "go on"):
        assert words in last.text
    assert 1 == len(claude.transcripts(session))


def test_conversation_of_an_adopted_home_goes_on_under_another_account(
    claude: Cli, session: str
) -> None:
    """The home was used before it was linked: only it has the conversation, until it is adopted."""
    for link in LINKS:
        claude.vm.entry("primary", link).unlink()
    claude.stub.script("noted")
    first = claude.run("primary", "remember the word heliotrope", "--session-id", session)
    assert (0, "noted\n") == (first.returncode, first.stdout)
    assert 0 != claude.run("backup", "which word?", "--resume", session).returncode

    adopted = claude.vm.run("adopt", "--all", *unseen())
    assert 0 == adopted.returncode, adopted.stdout + adopted.stderr
    assert 0 == claude.vm.run("ensure").returncode  # what the CLI had not made yet
    assert 0 == claude.vm.run("check").returncode
    seen = len(claude.stub.turns)
    claude.stub.script("heliotrope")
    second = claude.run("backup", "which word?", "--resume", session)
    assert (0, "heliotrope\n") == (second.returncode, second.stdout)
    assert "remember the word heliotrope" in claude.stub.turns[seen].text
