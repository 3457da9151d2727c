"""``launcher switch`` with the real CLI: the conversation goes on, and never under two at once."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.claude.cli import CALM, Cli, Pane, key_of, turns_of
from tests.claude.known import Known
from tests.claude.stub import Answer, Failure, Reply, Text, ToolUse
from tests.claude.watch import Watch
from tests.steps import STEPS, killed_at
from tests.vm import LINKS, wait_until

ECHO = ToolUse("Bash", {"command": "echo variable=$OF_THE_SESSION", "description": "look"})
STUBBORN = ToolUse(
    "Bash", {"command": "trap '' TERM; tail -f /dev/null", "description": "wait for ever"}
)


@pytest.fixture
def kept(claude: Cli) -> Cli:
    """Return the CLI with both accounts logged in, and a session ``work`` of the launcher's."""
    for account in claude.vm.accounts:
        claude.log_in(account)
    claude.set_variable("primary", "OF_THE_SESSION", "kept")
    claude.keep("change the note")
    return claude


@pytest.fixture
def watch(kept: Cli) -> Iterator[Watch]:
    """Return a watch over the session, which must never have had two leaders at once."""
    with Watch(kept.vm) as watching:
        yield watching
    assert watching.looks > 10
    assert set() == watching.at_once


def start(claude: Cli, *script: Answer) -> str:
    """Let the launcher start the session, and the model answer; return the conversation's id."""
    claude.stub.script(*script)
    up = claude.launch("up")
    assert 0 == up.returncode, up.stdout + up.stderr
    (record,) = (claude.vm.state / "conversations").glob("*.json")
    return str(json.loads(record.read_text())["conversation"])


def transcripts(claude: Cli, session: str) -> list[Path]:
    """Return the shared transcripts of a conversation; what is at work elsewhere comes and goes."""
    return sorted(claude.vm.target("projects").glob(f"*/{session}.jsonl"))


def answered(claude: Cli, session: str, words: str) -> Path:
    """Wait until an answer is in the transcript of a conversation; return that."""
    try:
        wait_until(
            lambda: any(words in path.read_text() for path in transcripts(claude, session)),
            f"{words!r} is in the transcript",
            60,
        )
    except AssertionError as error:
        raise AssertionError(f"{error}; the terminal shows\n{claude.pane().screen}") from None
    (transcript,) = transcripts(claude, session)
    return transcript


def switch(claude: Cli, *arguments: str) -> dict[str, Any]:
    """Switch the session; return what became of it. The exit code is that of its outcome."""
    done = claude.launch("switch", "work", *arguments, "--json")
    assert "" == done.stderr
    document = json.loads(done.stdout)
    told: dict[str, Any] = document["switch"]
    told["states"] = [one["state"] for one in (*document["failures"], *told["refused"])]
    codes = {
        "switched": 0,
        "already-there": 0,
        "refused": 1,
        "held": 1,
        "returned": 69,
        "failed": 69,
    }
    assert codes[told["outcome"]] == done.returncode, done.stdout
    return told


def test_session_goes_on_under_another_account_and_over_a_reboot(
    kept: Cli, known: Known, watch: Watch
) -> None:
    note = kept.directory / "note.txt"
    note.write_text("before\n")
    links = {(a, n): os.readlink(kept.vm.entry(a, n)) for a in kept.vm.accounts for n in LINKS}
    change = {"file_path": str(note), "old_string": "before", "new_string": "after"}
    edit = [ToolUse("Read", {"file_path": str(note)}), ToolUse("Edit", change)]
    session = start(kept, *edit, ECHO, "noted it under A")
    transcript = answered(kept, session, "noted it under A")
    assert "after\n" == note.read_text()
    told = len(turns_of(transcript))

    seen = len(kept.stub.requests)
    kept.stub.script(ECHO, "went on under B")
    assert ("switched", session) == tuple(
        switch(kept, "backup")[key] for key in ("outcome", "conversation")
    )

    asked = kept.stub.wait_for(
        lambda request: request.is_turn and request.key == key_of("backup"), after=seen
    )
    for words in ("change the note", "noted it under A", "variable=kept", str(note)):
        assert words in asked.text
    assert transcript == answered(kept, session, "went on under B")
    turns = turns_of(transcript)
    assert told < len(turns)
    assert {session} == {turn["sessionId"] for turn in turns}
    assert "variable=kept" in str(kept.stub.turns[-1].tool_results)
    for account in kept.vm.accounts:
        there = kept.vm.entry(account, "projects") / transcript.parent.name / transcript.name
        assert transcript.samefile(there)
    assert links == {
        (a, n): os.readlink(kept.vm.entry(a, n)) for a in kept.vm.accounts for n in LINKS
    }

    pane = kept.pane()
    wait_until(lambda: pane.is_ready, "the prompt is there", 60)
    pane.type("/rewind")
    pane.wait_for("❯ (current)")
    pane.wait_for("note.txt +1 -1")  # or only the conversation would be offered
    select_first(pane, "change the note")
    pane.press_and_see("Enter")
    refused, offered = "The code will be unchanged.", "❯ 1. Restore code and conversation"
    wait_until(lambda: refused in pane.screen or offered in pane.screen, "it offers", 60)
    offers = offered in pane.screen  # 2.0 does not, nor under the same account once it is resumed
    known.hold("`/rewind` after `--resume` offers the code", offers)
    if offers:
        pane.choose(offered, "Enter")
        wait_until(lambda: note.read_text() == "before\n", "A's edit is undone under B", CALM)

    kept.vm.kill()
    assert [transcript] == kept.transcripts(session)
    seen = len(kept.stub.requests)
    assert session == start(kept, "and after the reboot")
    asked = kept.stub.wait_for(lambda request: request.is_turn, after=seen)
    assert key_of("backup") == asked.key
    assert "change the note" in asked.text
    assert transcript == answered(kept, session, "and after the reboot")
    (status,) = json.loads(kept.launch("status", "--json").stdout)["sessions"]
    assert ("backup", "primary", "running") == (
        status["account"],
        status["wanted"],
        status["state"],
    )


def test_turn_that_met_a_limit_is_answered_after_a_switch(kept: Cli, watch: Watch) -> None:
    kept.stub.refuse(key_of("primary"), Failure(429, {"x-should-retry": "false"}))
    session = start(kept)
    limited = kept.stub.wait_for(lambda request: request.is_turn)
    assert key_of("primary") == limited.key
    wait_until(lambda: bool(transcripts(kept, session)), "the prompt is in the transcript", 60)

    kept.stub.script("fine under B")
    assert "switched" == switch(kept, "backup")["outcome"]

    transcript = answered(kept, session, "fine under B")
    assert [transcript] == transcripts(kept, session)
    assert key_of("backup") == kept.stub.turns[-1].key
    assert "change the note" in kept.stub.turns[-1].text


@pytest.mark.parametrize("trouble", ["mid-stream", "stubborn child", "killed", "pid recycled"])
def test_switch_under_load(kept: Cli, watch: Watch, trouble: str) -> None:
    stream = Reply([Text("first half, second half")], threading.Event())
    script: list[Answer] = ["begun under A"]
    if trouble == "mid-stream":
        script = [ECHO, stream]
    elif trouble == "stubborn child":
        script = [STUBBORN]
    session = start(kept, *script)
    old = kept.pane().pid
    kept.stub.wait_for(lambda request: request.is_turn)
    wait_until(lambda: transcripts(kept, session), "there is a transcript", 60)
    stranger = None
    if trouble == "mid-stream":
        kept.stub.wait_for(lambda request: bool(request.tool_results))
    elif trouble == "stubborn child":
        wait_until(lambda: len(members(kept, old)) > 1, "the command runs", 60)
    else:
        answered(kept, session, "begun under A")
        os.kill(old, signal.SIGKILL)
        wait_until(lambda: old not in watch.alive(), "it is dead", CALM)
    if trouble == "pid recycled":
        stranger = recycled(kept, old, session)
    kept.stub.script("went on under B")
    assert ("switched", session) == tuple(
        switch(kept, "backup")[key] for key in ("outcome", "conversation")
    )
    assert not members(kept, old)
    if stranger is not None:
        assert stranger.poll() is None
        stranger.kill()
        stranger.wait()
    answered(kept, session, "went on under B")
    assert "change the note" in kept.stub.turns[-1].text
    assert {old, kept.pane().pid} == watch.leaders


def select_first(pane: Pane, words: str) -> None:
    """Move up in a list until its first row with *words* is the selected one."""

    def rows() -> list[str]:
        return re.findall(rf"^ +(❯?) *{words}", pane.screen, re.MULTILINE)

    while rows()[:1] != ["❯"]:
        pane.press_and_see("Up")


def members(claude: Cli, leader: int) -> list[int]:
    """Return what carries the mark of a run that *leader* led."""
    mark = f"CLAUDE_FAILOVER_SESSION={leader}:work:".encode()
    found = []
    for pid in claude.vm.processes():
        with suppress(OSError):  # it has ended
            if mark in Path(f"/proc/{pid}/environ").read_bytes():
                found.append(pid)
    return found


def recycled(claude: Cli, old: int, session: str) -> subprocess.Popen[bytes]:
    """Let the note that the old process left be about a pid that a stranger has now."""
    stranger = subprocess.Popen(["sleep", "600"], start_new_session=True)
    sessions = claude.vm.home("primary") / "sessions"
    sessions.mkdir(exist_ok=True)  # 2.0 has none
    left = sessions / f"{old}.json"
    note = json.loads(left.read_text()) if left.exists() else {"procStart": "1"}
    note |= {"pid": stranger.pid, "sessionId": session}
    (sessions / f"{stranger.pid}.json").write_text(json.dumps(note))
    return stranger


def test_launcher_that_is_killed_at_any_step_is_mended(kept: Cli, watch: Watch) -> None:
    session = start(kept, "begun under A")
    answered(kept, session, "begun under A")
    # Before each of them as well: tests/test_switch.py, with a stand-in for the client.
    for count, step in enumerate(one for one in STEPS if one.startswith("after")):
        target = ("backup", "primary")[count % 2]
        killed = kept.launch("switch", "work", target, python=killed_at(step))
        assert -signal.SIGKILL == killed.returncode, killed.stdout + killed.stderr
        alive = watch.alive()
        (status,) = json.loads(kept.launch("status", "--json").stdout)["sessions"]
        assert ("running" if alive else "stopped") == status["state"], (step, status)
        if count % 2:
            assert 0 == kept.launch("up").returncode, step
        else:
            assert switch(kept, target)["outcome"] in ("switched", "already-there")
        (status,) = json.loads(kept.launch("status", "--json").stdout)["sessions"]
        assert "running" == status["state"], step
        assert 1 == len(watch.alive())
    assert 1 == len(transcripts(kept, session))


def test_unfit_account_is_refused_before_the_session_is_touched(kept: Cli, watch: Watch) -> None:
    session = start(kept, "begun under A")
    answered(kept, session, "begun under A")
    old, home = kept.pane().pid, kept.vm.home("backup")
    state, login = home / ".claude.json", home / ".credentials.json"
    fit, token = state.read_text(), login.read_text()
    spoilt = json.loads(fit)
    seen = {}
    login.unlink()
    seen["not-logged-in"] = switch(kept, "backup")
    login.write_text(token)
    login.chmod(0o600)
    state.write_text(json.dumps({**spoilt, "projects": {}}))
    seen["not-trusted"] = switch(kept, "backup")
    state.write_text(json.dumps({**spoilt, "hasCompletedOnboarding": False}))
    seen["not-onboarded"] = switch(kept, "backup")
    state.write_text(fit)
    for expected, told in seen.items():
        assert expected in told["states"]
    if os.geteuid() == 0:
        os.chown(home, 1, -1)
        done = kept.launch("switch", "work", "backup")
        assert (1, True) == (done.returncode, "home of backup" in done.stdout), done.stdout
        os.chown(home, 0, -1)
    assert {old} == watch.leaders == watch.alive()
    assert "switched" == switch(kept, "backup")["outcome"]
