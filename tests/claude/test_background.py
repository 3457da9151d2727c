"""Claude Code's background sessions, with the real CLI: seen, followed and ended for good."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from invariants.background import Worker
from launcher.background import live
from tests.claude.cli import Cli, Pane, key_of
from tests.claude.test_switch import answered, start, switch
from tests.vm import wait_until

pytestmark = pytest.mark.versions("2.1.332", "2.1.197")

COMES_BACK = 15.0
"""Seconds after which a worker that was killed is there again: 12 were measured."""


@pytest.fixture
def kept(claude: Cli) -> Cli:
    """Return the CLI with both accounts logged in, and a session that may use the agent view."""
    for account in claude.vm.accounts:
        claude.log_in(account)
    claude.keep("remember heliotrope")
    allow_agent_view(claude, allowed=True)
    return claude


def allow_agent_view(claude: Cli, *, allowed: bool) -> None:
    text = claude.vm.inventory.read_text().replace("agent_view = true\n", "")
    more = 'name = "work"\n' + ("agent_view = true\n" if allowed else "")
    claude.vm.inventory.write_text(text.replace('name = "work"\n', more))


def run(claude: Cli, *words: str) -> subprocess.CompletedProcess[str]:
    """Run the client's own command by hand, under the first account."""
    return subprocess.run(
        [str(claude.program), *words],
        cwd=claude.directory,
        env=claude.environ("primary"),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=90,
    )


def in_background(claude: Cli) -> list[Worker]:
    """Return the workers of the first account's home that run, spares left out."""
    jobs = {path.parent.name for path in claude.vm.home("primary").glob("jobs/*/state.json")}
    return [one for one in live([str(claude.vm.home("primary"))]) if one.job in jobs]


def hand_over(claude: Cli, pane: Pane) -> Worker:
    """Press ``←`` at the empty prompt; return the worker that has the conversation then."""
    wait_until(lambda: pane.is_ready, "the prompt is there", 60)
    before = {worker.job for worker in in_background(claude)}

    def handed_over() -> bool:
        pane.press("Left")
        time.sleep(1)
        return bool({worker.job for worker in in_background(claude)} - before)

    wait_until(handed_over, "it is in the background", 90)
    (worker,) = (one for one in in_background(claude) if one.job not in before)
    return worker


def say(claude: Cli, pane: Pane, words: str, answer: str) -> None:
    """Open the conversation that was handed over, and say something in it."""

    def selected() -> bool:
        if "❯ ✻ remember heliotrope" in pane.screen:
            return True
        pane.press("Up")
        time.sleep(1)
        return False

    wait_until(selected, "it is selected in the list", 60)
    pane.press("Enter")
    wait_until(lambda: "enter to" not in pane.screen and pane.is_ready, "it is open", 60)
    claude.stub.default = answer  # other workers ask as well, and would take what is scripted
    seen = len(claude.stub.requests)
    time.sleep(3)  # nothing on the screen tells that it takes keys by now
    pane.type(words)
    claude.stub.wait_for(lambda request: request.is_turn and words in request.text, 90, after=seen)


def warnings(claude: Cli) -> list[dict[str, Any]]:
    every = claude.vm.report["warnings"]
    return [one for one in every if one["invariant"] == "conversation_is_in_the_session"]


def test_key_that_hands_a_conversation_over_does_nothing_in_a_session(kept: Cli) -> None:
    allow_agent_view(kept, allowed=False)
    session = start(kept, "noted")
    answered(kept, session, "noted")
    pane = kept.pane()
    wait_until(lambda: pane.is_ready, "the prompt is there", 60)
    for _ in range(3):
        pane.press("Left")
        time.sleep(1)
    kept.stub.script("heliotrope it is")
    pane.type("which word?")
    answered(kept, session, "heliotrope it is")
    assert not (kept.vm.home("primary") / "daemon").exists()


@pytest.mark.versions("2.1.332")  # an older one's list looks otherwise
@pytest.mark.parametrize("daemon", ["its own", "older"])
def test_conversation_that_went_to_the_background_is_followed_and_its_worker_ended(
    kept: Cli, daemon: str
) -> None:
    if daemon == "older":  # its workers bear no mark of the session's
        assert 0 == run(kept, "--bg", "something else").returncode
        # Its answer is not the one that the session is to get.
        kept.stub.wait_for(lambda request: request.is_turn and "something else" in request.text)
    session = start(kept, "noted")
    answered(kept, session, "noted")
    pane = kept.pane()
    worker = hand_over(kept, pane)
    assert session != worker.conversation
    say(kept, pane, "say it again", "heliotrope again")
    answered(kept, worker.conversation, "heliotrope again")
    check = kept.launch("check")
    assert 0 == check.returncode, check.stdout
    assert [worker.job in one["fix"] for one in warnings(kept)] == [True]

    kept.stub.default = "heliotrope under B"
    seen = len(kept.stub.requests)
    told = switch(kept, "backup")
    assert ("switched", worker.conversation) == (told["outcome"], told["conversation"])
    asked = kept.stub.wait_for(
        lambda request: request.is_turn and request.key == key_of("backup"), 90, after=seen
    )
    assert "say it again" in asked.text
    time.sleep(COMES_BACK)
    assert worker.job not in [one.job for one in in_background(kept)]
    assert [] == warnings(kept)


def test_conversation_that_is_resumed_in_the_background_is_a_fork_and_no_second_writer(
    kept: Cli,
) -> None:
    session = start(kept, "noted")
    transcript = answered(kept, session, "noted")
    assert 0 == run(kept, "--bg", "--resume", str(transcript), "and now?").returncode
    wait_until(lambda: bool(in_background(kept)), "the worker runs", 60)
    (worker,) = in_background(kept)
    assert session != worker.conversation
    check = kept.launch("check")
    assert 0 == check.returncode, check.stdout


def test_worker_that_was_killed_comes_back_and_the_fix_ends_it_for_good(kept: Cli) -> None:
    done = run(kept, "--bg", "remember heliotrope")
    assert 0 == done.returncode, done.stderr
    wait_until(lambda: bool(in_background(kept)), "the worker runs", 60)
    (worker,) = in_background(kept)
    assert worker.job in done.stdout
    os.kill(worker.pid, signal.SIGKILL)
    wait_until(lambda: worker.pid not in pids(in_background(kept)), "it is dead", 60)
    wait_until(lambda: bool(pids(in_background(kept))), "it is back", 60)
    fix = worker.fix.replace(" claude ", f" {kept.program} ")
    ended = subprocess.run(
        ["sh", "-c", fix], env=kept.environ("primary"), capture_output=True, check=False
    )
    assert 0 == ended.returncode, ended.stderr
    wait_until(lambda: not in_background(kept), "it has ended", 60)
    time.sleep(COMES_BACK)
    assert [] == in_background(kept)


def pids(found: list[Worker]) -> list[int]:
    """Return the pids of those that are alive; one that will come back has none yet."""
    return [one.pid for one in found if Path(f"/proc/{one.pid}/stat").exists()]
