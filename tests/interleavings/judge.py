"""One round, and whether all holds at its end.

*A session was to run* means two things. Behind the storm: it ran when the storm began, and nothing
that may end it was called: no ``down`` named it, and no ``switch`` of it was killed by SIGKILL
(which may leave it stopped, with its placement). It must still run then, before anybody helps.
Behind the calm ``launcher up``: every session of the inventory, once, under the account that its
placement names; that is the switch's, if one was called for it and said it had switched.
"""

from __future__ import annotations

import json
import re
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from invariants.inventory import load
from invariants.programs import runs_claude
from launcher.conversations import first_id
from launcher.placements import placed
from tests.interleavings import writer
from tests.interleavings.plan import Plan
from tests.interleavings.storm import Done, Storm
from tests.vm import Vm, wait_until

_BROUGHT_BACK = re.compile(r"mkdir -p -m 700 \S+ && kill -USR1 \d+")
_CALM = 20
"""How often the calm ``up`` is called at most."""

Launch = Callable[..., subprocess.CompletedProcess[str]]
"""Runs ``launcher`` with the words that it is called with."""


@dataclass(slots=True)
class Round:
    """What a round showed: *faults* must be empty; *noted* is worth a look, and no fault."""

    plan: Plan
    faults: list[str] = field(default_factory=list)
    noted: list[str] = field(default_factory=list)
    done: list[Done] = field(default_factory=list)
    seconds: float = 0.0

    def __str__(self) -> str:
        lines = [str(self.plan), *(f"FAULT {fault}" for fault in self.faults)]
        for one in self.done:
            lines += [f"-- {one.call}: exit code {one.code}", one.output.rstrip()]
        return "\n".join(lines)


def played(plan: Plan, directory: Path | None = None) -> Round:
    """Play one round in a directory of its own, below *directory*; nothing is left of it."""
    with tempfile.TemporaryDirectory(prefix="interleaving-", dir=directory) as root:
        vm = Vm(Path(root)).link()
        try:
            return _played(vm, plan)
        finally:
            vm.close()


def _played(vm: Vm, plan: Plan) -> Round:
    round_, began = Round(plan), time.monotonic()
    program = writer.install(vm)
    commands = {
        name: writer.tool(vm, name) if name == "tool" else [str(program)] for name in plan.sessions
    }
    vm.write(commands, backend=plan.backend, timeout=60)
    conversations = {
        session.name: first_id(session) if runs_claude(session) else session.name
        for session in load(str(vm.inventory)).sessions
    }
    if plan.running:
        first = vm.run("up")
        assert first.returncode == 0, f"the round cannot begin: {first.stdout}{first.stderr}"
    storm = Storm(vm, plan, conversations, [str(program)], vm.environ, vm.root)
    round_.done = storm.carry_out()
    judge_storm(vm, round_, lambda: _homes(vm, conversations))
    if calm(vm, round_, vm.run):
        judge_calm(vm, round_, _homes(vm, conversations), vm.run)
    round_.faults += [f"two writers: {line}" for line in writer.second_writers(vm)]
    round_.faults += [f"turn lost: {line}" for line in writer.lost_turns(vm)]
    round_.seconds = time.monotonic() - began
    return round_


def _homes(vm: Vm, conversations: Mapping[str, str]) -> dict[str, list[str]]:
    """Return the homes that each conversation runs in, by the session's name or else its id."""
    names = {conversation: name for name, conversation in conversations.items()}
    live = writer.live(vm).items()
    return {names.get(found, found): [home for _, home in clients] for found, clients in live}


def judge_storm(vm: Vm, round_: Round, running: Callable[[], Collection[str]]) -> None:
    """Judge the launchers that have ended, and what is there before anybody helps.

    *running* returns the names of the sessions that run.
    """
    _judge_launchers(round_)
    _judge_leftovers(vm, round_)
    _judge_sessions(round_, running())


def _judge_launchers(round_: Round) -> None:
    for one in round_.done:
        if one.hung:
            round_.faults.append(f"hangs: {one.call}")
        if "a fault of claude-failover" in one.output or "Traceback" in one.output:
            round_.faults.append(f"fault of the launcher: {one.call}")
        if "come and go faster" in one.output:
            round_.noted.append(f"cannot look: {one.call}")


def _judge_leftovers(vm: Vm, round_: Round) -> None:
    """Wait for what killed launchers left: it must end by itself."""

    def left() -> list[str]:
        known = ("claude", "tool", "tmux")
        words = [
            Path(f"/proc/{pid}/cmdline").read_text().split("\0")[:-1]
            for pid in vm.processes()
            if Path(f"/proc/{pid}/cmdline").exists()
        ]
        return [
            " ".join(one) for one in words if one and not {Path(w).name for w in one} & set(known)
        ]

    try:
        wait_until(lambda: not left(), "what launchers started ends", 15)
    except AssertionError:
        round_.faults.append(f"left behind: {left()}")


def _judge_sessions(round_: Round, running: Collection[str]) -> None:
    if not round_.plan.running:
        return
    for name in round_.plan.sessions:
        of_it = [one for one in round_.done if one.call.session == name]
        ended = [one.call for one in of_it if one.call.verb == "down"]
        killed = [
            one.call for one in of_it if one.call.verb == "switch" and one.code == -signal.SIGKILL
        ]
        if not ended and not killed and name not in running:
            round_.faults.append(f"lost: {name} ran before, and nothing may have ended it")


def calm(vm: Vm, round_: Round, launch: Launch) -> bool:
    """Call ``up`` until everything runs, and paste the fix that it prints; tell if it does."""
    for _ in range(_CALM):
        done = launch("up")
        said = done.stdout + done.stderr
        if done.returncode == 0:
            return True
        if (fix := _BROUGHT_BACK.search(said)) is not None:
            round_.noted.append("socket brought back by hand")
            vm.shell(fix[0])
        elif done.returncode != 75:
            break
        time.sleep(0.2)
    round_.faults.append(f"up fails: exit code {done.returncode}: {said}")
    return False


def judge_calm(vm: Vm, round_: Round, homes: Mapping[str, list[str]], launch: Launch) -> None:
    """Judge what runs when all is to run: *homes* has where, by the names of the sessions."""
    sessions = placed(load(str(vm.inventory))).sessions
    for session in sessions:
        wanted = [vm.home(session.account).name]
        if (where := homes.get(session.name, [])) != wanted:
            round_.faults.append(f"lost: {session.name} runs in {where}, not once in {wanted[0]}")
        moves = [
            one
            for one in round_.done
            if (one.call.verb, one.call.session) == ("switch", session.name)
        ]
        if [one.code for one in moves] == [0] and moves[0].call.account != session.account:
            round_.faults.append(f"placement: {moves[0].call} ended with 0: {session.account}")
    if others := homes.keys() - {session.name for session in sessions}:
        round_.faults.append(f"two writers: conversations of no session run: {others}")
    status = launch("status", "--json")
    states = {one["name"]: one["state"] for one in json.loads(status.stdout)["sessions"]}
    if status.returncode or set(states.values()) != {"running"}:
        said = json.loads(status.stdout)
        why = said["problem"] or said["report"]
        round_.faults.append(f"status: exit code {status.returncode}: {states}; {why}")
