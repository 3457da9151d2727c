"""What the command line does with a conversation's id, and what it says when it fails."""

from __future__ import annotations

import os
import signal
from uuid import uuid4

import pytest

from tests.claude.cli import CALM, Cli, turns_of
from tests.claude.known import Known
from tests.claude.stub import Failure
from tests.vm import wait_until


@pytest.fixture
def session() -> str:
    """Return the id of a conversation that does not exist yet."""
    return str(uuid4())


def test_session_id_is_for_the_first_time_and_resume_for_ever_after(
    claude: Cli, session: str
) -> None:
    early = claude.run("primary", "hello", "--resume", session)
    assert (1, "", f"No conversation found with session ID: {session}\n") == (
        early.returncode,
        early.stdout,
        early.stderr,
    )
    assert [] == claude.transcripts(session)

    assert 0 == claude.run("primary", "hello", "--session-id", session).returncode

    again = claude.run("backup", "hello", "--session-id", session)
    assert (1, f"Error: Session ID {session} is already in use.\n") == (
        again.returncode,
        again.stderr,
    )
    resumed = claude.run("backup", "hello", "--resume", session)
    assert (0, "") == (resumed.returncode, resumed.stderr)
    both = claude.run("primary", "hello", "--session-id", session, "--resume", session)
    assert 1 == both.returncode
    assert "--fork-session" in both.stderr
    (transcript,) = claude.transcripts(session)
    assert 4 == len(turns_of(transcript))


def test_continue_silently_begins_a_new_conversation(claude: Cli) -> None:
    done = claude.run("primary", "hello", "--continue")
    assert (0, "ok\n", "") == (done.returncode, done.stdout, done.stderr)
    assert "hello" in claude.stub.turns[0].text


def test_session_without_a_prompt_leaves_no_transcript_or_an_id_that_nothing_takes(
    claude: Cli, known: Known, session: str
) -> None:
    begin_and_end(claude, session)
    empty = bool(claude.transcripts(session))
    known.hold("a session without a prompt leaves an empty transcript", empty)
    if not empty:
        begin_and_end(claude, session)  # the id is still free
        return
    (transcript,) = claude.transcripts(session)
    assert [] == turns_of(transcript)
    resumed = claude.run("primary", "hello", "--resume", session)
    begun = claude.run("primary", "hello", "--session-id", session)
    assert (1, 1) == (resumed.returncode, begun.returncode)
    assert "No conversation found" in resumed.stderr
    assert "already in use" in begun.stderr


def test_resume_may_look_for_an_id_in_the_folders_of_other_directories(
    claude: Cli, known: Known, session: str
) -> None:
    claude.run("primary", "hello", "--session-id", session)
    claude.directory = claude.vm.root / "elsewhere"
    claude.directory.mkdir()
    resumed = claude.run("backup", "hello", "--resume", session)
    known.hold("`--resume` finds an id from another directory", resumed.returncode == 0)
    assert 1 == len(claude.transcripts(session))


def begin_and_end(claude: Cli, session: str) -> None:
    terminal = claude.open("primary", "--session-id", session)
    wait_until(lambda: terminal.is_ready, "the prompt is there", CALM)
    os.kill(terminal.pid, signal.SIGTERM)
    wait_until(lambda: terminal.ending is not None, "it ends", CALM)
    assert 143 == terminal.ending


@pytest.mark.parametrize(
    ("failure", "words"),
    [
        (Failure(401, {"x-should-retry": "false"}), "API key"),
        (Failure(429, {"x-should-retry": "false"}), "429"),
        (Failure(529, {"x-should-retry": "false"}), "verloaded"),
    ],
    ids=["401", "429", "529"],
)
def test_refusal_of_the_api_is_told_on_standard_output(
    claude: Cli, session: str, failure: Failure, words: str
) -> None:
    claude.stub.refuse("key-of-primary", failure)
    done = claude.run("primary", "hello", "--session-id", session)
    assert (1, "") == (done.returncode, done.stderr)
    assert words in done.stdout
    (transcript,) = claude.transcripts(session)
    assert "hello" in transcript.read_text()


def test_nothing_but_the_stub_is_reached_and_nothing_of_the_user_written(
    claude: Cli, session: str
) -> None:
    before = list(claude.vm.user_home.rglob("*"))
    claude.run("primary", "hello", "--session-id", session)
    wanted = [seen.path for seen in claude.stub.requests if seen.method == "CONNECT"]
    assert set(wanted) <= {"api.anthropic.com:443"}
    assert before == list(claude.vm.user_home.rglob("*"))
