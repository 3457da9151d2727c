"""Launchers at the same time, with the real CLI: every answered turn is in the next resume.

Plans, storm and judgement are those of `tests/interleavings`. The client says a prompt at each
start, and each turn gets an answer of its own, so that one that drops out of the conversation is
missed by name.
"""

from __future__ import annotations

import json
import threading
from contextlib import suppress
from datetime import datetime
from pathlib import Path

import pytest

from tests.claude.cli import CALM, Cli, key_of, turns_of
from tests.claude.stub import Answer, Reply, Text
from tests.claude.test_switch import answered, start, switch
from tests.claude.watch import Clients
from tests.interleavings.judge import Round, calm, judge_calm, judge_storm
from tests.interleavings.plan import ACCOUNTS, Plan, drawn_for_client
from tests.interleavings.storm import Done, Storm
from tests.sessions.keeper import environment_of
from tests.vm import wait_until

pytestmark = pytest.mark.versions("2.1.332")
ANSWERS = [f"the word of turn {number:02} is amaranth" for number in range(40)]
SEEDS = (20, 73, 81, 193)
"""Beside removers of the socket and of the lock: a switch killed and a down, all launchers killed,
and clients by hand that must be refused, beside a down and between two switches."""
PACE = 2.0
"""By what the times of a plan are longer than with the stand-in: a switch takes about 2 s."""


class Pause(threading.Event):
    """Holds a stream in its middle for half a second, so that a client may end there."""

    def wait(self, timeout: float | None = None) -> bool:
        """Return when half a second is over, or the stub is closed."""
        return super().wait(0.5 if timeout is None else min(0.5, timeout))


@pytest.fixture
def kept(claude: Cli) -> Cli:
    """Return the CLI with both accounts logged in, and answers for all turns, some of them slow."""
    for account in claude.vm.accounts:
        claude.log_in(account)
    claude.keep("say the word")
    answers: list[Answer] = [
        Reply([Text(text)], Pause()) if number % 2 else text for number, text in enumerate(ANSWERS)
    ]
    claude.stub.script(*answers)
    return claude


@pytest.mark.parametrize("seed", SEEDS)
def test_every_answered_turn_is_in_the_next_resume(kept: Cli, seed: int) -> None:
    round_ = played(kept, drawn_for_client(seed, "work", PACE))
    assert [] == round_.faults, str(round_)


def test_judge_notices_a_second_client_of_the_conversation(
    kept: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rounds would be green for ever if it could not."""

    def sabotage(storm: Storm) -> list[Done]:
        begun = len(kept.stub.turns)
        beside = kept.run("backup", "said beside", "--resume", storm.conversations["work"])
        assert (0, ANSWERS[begun]) == (beside.returncode, beside.stdout.strip())
        kept.pane().type("say one more")
        answered(kept, storm.conversations["work"], ANSWERS[begun + 1])
        return []

    monkeypatch.setattr(Storm, "carry_out", sabotage)
    faults = played(kept, Plan(0, "tmux", ("work",), running=True, calls=(), troubles=())).faults
    assert f"turn lost: {ANSWERS[1]!r} is not in the resume" in faults
    assert 1 == len([fault for fault in faults if fault.startswith("two writers: ")])
    (said, heard) = (fault for fault in faults if fault.startswith("forked: "))
    assert "said beside" in said
    assert ANSWERS[1] in heard


def played(claude: Cli, plan: Plan) -> Round:
    """Play a round with the session ``work``; return what it showed."""
    round_, session = Round(plan), start(claude)
    begun = answered(claude, session, ANSWERS[0]).read_bytes()
    by_hand = [str(claude.program), "-p", "said by hand"]
    names, environ = {"work": session}, claude.vm.environ | claude.environ_of_launcher
    storm = Storm(claude.vm, plan, names, by_hand, environ, claude.directory)
    with Clients(claude.vm, session) as clients:
        round_.done = storm.carry_out()
        judge_storm(claude.vm, round_, lambda: homes(clients))
        if calm(claude.vm, round_, claude.launch):
            judge_calm(claude.vm, round_, homes(clients), claude.launch)
            round_.faults += lost_turns(claude, session, begun)
            after = Round(plan)
            judge_calm(claude.vm, after, homes(clients), claude.launch)
            round_.faults += after.faults
    round_.faults += [f"two writers: {sorted(found)}" for found in clients.at_once]
    assert clients.looks > 10
    return round_


def homes(clients: Clients) -> dict[str, list[str]]:
    """Return the homes that the session's clients run in, by its name; none if there is none."""
    found = []
    for pid in clients.alive():
        with suppress(OSError, KeyError):  # it has ended
            found.append(Path(environment_of(pid)["CLAUDE_CONFIG_DIR"]).name)
    return {"work": found} if found else {}


def lost_turns(claude: Cli, session: str, begun: bytes) -> list[str]:
    """Switch once more; return what of the conversation the client then goes on without.

    *begun* is what was in the transcript before the storm. No other conversation may have begun.
    """
    (transcript,) = claude.vm.target("projects").rglob("*.jsonl")
    wait_until(lambda: is_at_rest(claude, transcript), "the last start is answered", CALM)
    before, seen = transcript.read_bytes(), len(claude.stub.requests)
    kept = [text for text in ANSWERS if text in before.decode()]
    under = environment_of(claude.pane().pid)["CLAUDE_CONFIG_DIR"]
    (target,) = (one for one in ACCOUNTS if str(claude.vm.home(one)) != under)
    told = switch(claude, target)
    if (told["outcome"], told["conversation"]) != ("switched", session):
        return [f"lost: the last switch: {told}"]
    asked = claude.stub.wait_for(
        lambda request: request.is_turn and request.key == key_of(target), after=seen
    )
    faults = [
        f"turn lost: {text!r} is not in the resume" for text in kept if text not in asked.text
    ]
    assert transcript == answered(claude, session, ANSWERS[len(claude.stub.turns) - 1])
    if not before.startswith(begun) or not transcript.read_bytes().startswith(before):
        faults.append("turn lost: the transcript was written anew")
    return faults + off_the_chain(transcript)


def is_at_rest(claude: Cli, transcript: Path) -> bool:
    """Whether the client that runs has said its prompt, and has the answer in the transcript."""
    pid = claude.pane().pid
    notes = [path for one in ACCOUNTS for path in claude.records(one) if path.stem == str(pid)]
    try:
        (began,) = (json.loads(path.read_text())["startedAt"] / 1000 for path in notes)
        last = turns_of(transcript)[-1]
    except ValueError:  # there is no note yet, or a file is being written
        return False
    is_answer = any(text in json.dumps(last["message"]) for text in ANSWERS)
    return is_answer and datetime.fromisoformat(last["timestamp"]).timestamp() > began


def off_the_chain(transcript: Path) -> list[str]:
    """Return a line for each turn that is no ancestor of the last one: a resume leaves it out."""
    records = [json.loads(line) for line in transcript.read_text().splitlines()]
    parents = {one["uuid"]: one.get("parentUuid") for one in records if "uuid" in one}
    turns = turns_of(transcript)
    chain, at = set(), turns[-1]["uuid"]
    while at is not None:
        chain.add(at)
        at = parents[at]
    return [f"forked: {one}" for one in turns if one["uuid"] not in chain]
