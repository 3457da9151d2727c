"""With the real CLI: a conversation goes on after a rename, and none is begun anew in silence."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.claude.cli import Cli
from tests.claude.test_switch import start, switch, transcripts
from tests.vm import wait_until


@pytest.fixture
def kept(claude: Cli) -> Cli:
    """Return the CLI with both accounts logged in, and a session ``work`` of the launcher's."""
    for account in claude.vm.accounts:
        claude.log_in(account)
    claude.keep("remember heliotrope")
    return claude


def renamed(claude: Cli) -> None:
    """Rename the session's directory; inventory and trust follow, as an operator would do it."""
    new = claude.directory.with_name("project")
    claude.directory.rename(new)
    claude.directory = new
    for account in claude.vm.accounts:
        path = claude.vm.home(account) / ".claude.json"
        state = json.loads(path.read_text())
        state.setdefault("projects", {})[str(new)] = {"hasTrustDialogAccepted": True}
        path.write_text(json.dumps(state))
    claude.keep("which word?")


def down(claude: Cli) -> None:
    """Stop the session."""
    done = claude.launch("down")
    assert 0 == done.returncode, done.stdout + done.stderr


def warnings(claude: Cli) -> list[dict[str, Any]]:
    """Return what the report warns of about conversations."""
    every = claude.vm.report["warnings"]
    return [one for one in every if one["invariant"] == "conversation_goes_on"]


def answered(claude: Cli, session: str, words: str) -> Path:
    """Wait until an answer is in the transcript; return that, and not a symlink to it."""
    wait_until(
        lambda: any(words in path.read_text() for path in transcripts(claude, session)),
        f"{words!r} is in the transcript",
        120,
    )
    (transcript,) = (path for path in transcripts(claude, session) if not path.is_symlink())
    return transcript


def says(claude: Cli, session: str, words: str) -> Path:
    """Start the session, and wait for an answer that has the conversation before it."""
    seen = len(claude.stub.requests)
    assert session == start(claude, words)
    asked = claude.stub.wait_for(lambda request: request.is_turn, 120, after=seen)
    assert "remember heliotrope" in asked.text
    return answered(claude, session, words)


def test_renamed_directory_keeps_its_conversation_and_its_transcript(kept: Cli) -> None:
    session = start(kept, "noted")
    transcript = answered(kept, session, "noted")
    down(kept)
    renamed(kept)
    assert transcript == says(kept, session, "it is heliotrope")
    assert [] == warnings(kept)
    kept.stub.script("heliotrope still")
    told = switch(kept, "backup")
    assert ("switched", session) == (told["outcome"], told["conversation"]), told
    wait_until(lambda: "heliotrope still" in transcript.read_text(), "B appends to it", 60)


def test_line_of_the_warning_resumes_the_conversation_of_another_directory(kept: Cli) -> None:
    session = start(kept, "noted")
    transcript = answered(kept, session, "noted")
    down(kept)
    kept.directory.with_name("other").mkdir()
    kept.directory.rename(kept.directory.with_name("kept"))
    kept.directory.with_name("other").rename(kept.directory)
    renamed(kept)  # what has the name now is another directory
    other = start(kept, "never heard of it")
    assert session != other
    (warning,) = warnings(kept)
    line = f'conversation = "{session}"'
    assert line in warning["fix"]
    answered(kept, other, "never heard of it")
    down(kept)
    text = kept.vm.inventory.read_text()
    kept.vm.inventory.write_text(text.replace('name = "work"', f'name = "work"\n{line}'))
    says(kept, session, "it is heliotrope")
    assert "it is heliotrope" in transcript.read_text()
    assert 0 == kept.launch("check").returncode
    assert [] == warnings(kept)


def test_transcript_that_is_gone_is_told_and_its_id_not_used_again(kept: Cli) -> None:
    session = start(kept, "noted")
    answered(kept, session, "noted")
    down(kept)
    for path in kept.transcripts(session):
        path.unlink()
    other = start(kept, "never heard of it")
    assert session != other
    answered(kept, other, "never heard of it")
    assert [] == transcripts(kept, session)
    (warning,) = warnings(kept)
    assert session in warning["found"]


def gone_for_good(claude: Cli, session: str) -> None:
    """Remove the transcript until it stays away: what a client says last it appends late."""
    absent = 0

    def stays_away() -> bool:
        nonlocal absent
        absent = 0 if transcripts(claude, session) else absent + 1
        for path in transcripts(claude, session):
            path.unlink(missing_ok=True)
        assert 0 == claude.launch("check").returncode
        return absent > 5

    wait_until(stays_away, "the client has written its last record", 120)


def test_switch_is_refused_while_the_turns_are_on_no_disk(kept: Cli) -> None:
    """The history of prompts tells that something was said, though no launcher saw a turn."""
    settings = {"env": {"CLAUDE_CODE_SKIP_PROMPT_HISTORY": "1"}}
    if kept.version == "2.0.76":  # keeps a transcript all the same
        settings = {}
    (kept.vm.home("primary") / "settings.json").write_text(json.dumps(settings))
    session = start(kept, "noted")
    pane = kept.pane()
    pane.wait_for("noted")
    if kept.version == "2.0.76":
        answered(kept, session, "noted")
        gone_for_good(kept, session)
    told = switch(kept, "backup")
    assert ("refused", "turns-missing") == (told["outcome"], told["states"][0])
    assert pane.pid == kept.pane().pid
    told = switch(kept, "backup", "--without-conversation")
    assert "switched" == told["outcome"], told["detail"]
    assert session != told["conversation"]


def test_session_without_a_word_is_switched_empty(kept: Cli) -> None:
    text = kept.vm.inventory.read_text()
    kept.vm.inventory.write_text(text.replace('"remember heliotrope", ', ""))
    assert 0 == kept.launch("up").returncode
    pane = kept.pane()
    wait_until(lambda: pane.is_ready, "the prompt is there", 60)
    told = switch(kept, "backup")
    assert ("switched", False) == (told["outcome"], told["begun"]), told["detail"]
    kept.stub.script("noted")
    pane = kept.pane()
    wait_until(lambda: pane.is_ready, "the prompt is there", 60)
    pane.type("remember heliotrope")
    answered(kept, told["conversation"], "noted")
