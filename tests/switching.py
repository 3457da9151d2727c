"""A VM with a session ``api`` that runs the stand-in for Claude Code, driven without processes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from invariants.inventory import Inventory, load
from invariants.judgement import judge_all
from invariants.places import Places
from launcher.interrupts import Interrupts
from launcher.notes import live_notes
from launcher.placements import placed
from launcher.sessions import Kept, SessionState, SessionStatus
from launcher.sessions.survey import Survey
from launcher.starting import start_one
from launcher.stop import down
from launcher.switch import Switch, switch
from launcher.verdict import Colour, Failure, Gate, Verdict
from tests import client
from tests.vm import Vm, wait_until


class Switching:
    """Calls the launcher's functions as its verbs do, on one VM."""

    def __init__(self, vm: Vm, backend: str = "process") -> None:
        self.vm = vm
        self.backend = backend
        self.program = client.install(vm)
        self.write()

    def write(self, session_keys: str = "", command: Sequence[str] = (), **keys: Any) -> None:
        """Write the inventory with the session ``api``."""
        argv = list(command) or [str(self.program)]
        keys = {"backend": self.backend, **keys}
        self.vm.write({"api": argv}, session_keys=session_keys, **keys)

    @property
    def inventory(self) -> Inventory:
        """The inventory as a verb is given it."""
        return placed(load(str(self.vm.inventory)))

    def up(self) -> SessionStatus:
        """Start the session as ``up`` does behind a green gate, without the cost of one.

        Return its state once it is at its prompt.
        """
        green = Gate(Verdict(Colour.GREEN, expected=14, passed=14), {}, 0.0, 0.0)
        with Interrupts() as interrupts:
            _, status, _ = start_one(self.inventory, "api", self.vm.environ, interrupts, green)
        if status.state is SessionState.STARTED:
            home = self.inventory.account(status.account).home
            # Of one that is alive: a note outlives the kill of who wrote it.
            wait_until(lambda: live_notes(home), "the client notes itself")
        return status

    def switch(
        self, account: str, *, dry_run: bool = False, without_conversation: bool = False
    ) -> Switch:
        """Switch the session to *account*."""
        inventory = self.inventory
        session = inventory.sessions[0]
        to = inventory.account(account)
        with Interrupts() as interrupts:
            return switch(
                inventory,
                session,
                to,
                self.vm.environ,
                interrupts,
                dry_run=dry_run,
                without_conversation=without_conversation,
            )

    def down(self) -> None:
        """Stop the session."""
        with Interrupts() as interrupts:
            (status,) = down(self.inventory, ["api"], self.vm.environ, interrupts)
        assert SessionState.STOPPED == status.state, status

    @property
    def status(self) -> SessionStatus:
        """The state of the session as ``status`` tells it."""
        (status,) = Survey(self.inventory, self.vm.environ).statuses(SessionState.STOPPED)
        return status

    @property
    def runs(self) -> list[Kept]:
        """What of the session is alive."""
        return Survey(self.inventory, self.vm.environ).alive("api")

    @property
    def conversation(self) -> str:
        """The id of the one conversation there is."""
        (found,) = client.transcripts(self.vm)
        return found

    @property
    def placement(self) -> Path:
        """The record of where the session was switched to."""
        return self.vm.state / "placements" / "api.json"

    @property
    def report(self) -> tuple[str, list[tuple[str, str]]]:
        """The verdict that is published, and the sessions' accounts and states."""
        sessions = [(one["account"], one["state"]) for one in self.vm.report["sessions"]]
        return self.vm.report["verdict"], sessions

    def trouble(self, account: str, name: str, content: str = "") -> Path:
        """Let the client misbehave under *account*, see `tests.client`."""
        path = self.vm.home(account) / name
        path.write_text(content)
        return path


def told(status: SessionStatus) -> tuple[str, str | None, str]:
    """Return whose a session is, where the inventory wants it, and its state."""
    return status.account, status.wanted, status.state.value


def edited(path: Path, **changes: Any) -> None:
    """Change keys of a JSON file."""
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def use_quick_gate(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let ``check``, ``up`` and ``switch`` run the quick gate."""
    monkeypatch.setattr("launcher.boot.run_all", quick_gate)
    monkeypatch.setattr("launcher.switch.validate_all", quick_gate)


def quick_gate(inventory: Inventory, *_: object, **__: object) -> Gate:
    """Judge homes, targets and links without pytest: a tenth of the time, for most tests."""
    places = Places(inventory.accounts, inventory.links)
    findings = judge_all(inventory.accounts, inventory.links, places)
    failures = tuple(Failure("", finding) for finding in findings)
    colour = Colour.RED if failures else Colour.GREEN
    return Gate(
        Verdict(colour, failures=failures, expected=14, passed=14 - len(failures)), {}, 0.0, 0.0
    )
