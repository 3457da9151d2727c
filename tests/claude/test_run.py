"""``launcher run`` with the real CLI: which words open a conversation, and that none gets two."""

from __future__ import annotations

import time
from pathlib import Path
from uuid import uuid4

import pytest

from invariants.command_line import Opened, opened_by
from tests.claude.cli import Cli, key_of, turns_of
from tests.claude.stub import Failure
from tests.claude.test_switch import answered, start

FORMS = [
    "-r ID",
    "-rID",
    "--resume ID",
    "--resume=ID",
    "-pr ID",
    "-pcr ID",
    "-c",
    "-cp",
    "--continue",
    "-- --resume ID",
    "--fork-session --resume ID",
]
OF_2_1 = ["-r PATH", "--resume=PATH"]


def limit() -> Failure:
    """Return the answer of the API to a login at its five-hour limit (field notes, section 8)."""
    unified = "anthropic-ratelimit-unified"
    told = {"status": "rejected", "reset": str(int(time.time()) + 3600)}
    told |= {"representative-claim": "five_hour", "5h-status": "rejected"}
    return Failure(429, {f"{unified}-{name}": value for name, value in told.items()})


def test_words_open_what_the_launcher_reads_in_them(claude: Cli) -> None:
    session = str(uuid4())
    begun = claude.run("primary", "hello", "--session-id", session)
    assert 0 == begun.returncode, begun.stdout + begun.stderr
    (transcript,) = claude.transcripts(session)
    forms = FORMS if claude.version.startswith("2.0.") else FORMS + OF_2_1
    for form in forms:
        words = [_filled(word, session, transcript) for word in form.split(" ")]
        before = len(turns_of(transcript))
        done = claude.run("backup", "again", *words)
        assert 0 == done.returncode, (form, done.stdout, done.stderr)
        goes_on = len(turns_of(transcript)) > before
        assert goes_on == (opened_by(["claude", *words]) != Opened()), form


def _filled(word: str, session: str, transcript: Path) -> str:
    return word.replace("ID", session).replace("PATH", str(transcript))


@pytest.mark.parametrize("words", [["--resume", "ID"], ["--continue"]], ids=["id", "continue"])
def test_conversation_of_a_session_that_waits_at_its_limit_gets_no_second_writer(
    claude: Cli, words: list[str]
) -> None:
    for account in claude.vm.accounts:
        claude.log_in(account)
    claude.keep("asked under A")
    claude.stub.refuse(key_of("primary"), limit())
    session = start(claude)
    transcript = answered(claude, session, '"isApiErrorMessage":true')
    command = [str(claude.program), *(word.replace("ID", session) for word in words)]
    run = ["run", "backup", "--", *command, "-p", "asked by hand"]
    refused = claude.launch(*run, cwd=claude.directory)
    assert (1, "") == (refused.returncode, refused.stdout)
    assert f"found     pid {claude.pane().pid} (claude), session work, account primary" in (
        refused.stderr
    )
    assert "asked by hand" not in transcript.read_text()
    assert [] == [one for one in claude.stub.turns if one.key == key_of("backup")]

    branch = claude.launch(*run, "--fork-session", cwd=claude.directory)
    assert 0 == branch.returncode, branch.stderr
    assert 0 == claude.launch("down").returncode
    alone = claude.launch(*run, cwd=claude.directory)
    assert 0 == alone.returncode, alone.stderr
    if "--resume" in words:  # else it goes on in the branch, which is newer
        assert "asked by hand" in transcript.read_text()
