"""One backend of one VM, driven without a gate in front of it, and a session's view of itself."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from invariants.inventory import load
from invariants.model import Account, Inventory, Session
from invariants.programs import find_program
from launcher.interrupts import Interrupts
from launcher.manager import Manager
from launcher.sessions import Backend, Kept, Start
from launcher.sessions.environment import session_environment
from launcher.sessions.holders import prepare
from launcher.sessions.process import ProcessBackend
from launcher.sessions.systemd import SystemdBackend
from launcher.sessions.tmux import TmuxBackend
from tests.vm import Vm, wait_until

# Written beside and renamed, so that whoever waits for the file finds it whole.
_WITNESS = """\
#!%s -IS
import json, os, signal, sys
seen = {"argv": sys.argv[1:], "environ": dict(os.environ), "cwd": os.getcwd(), "pid": os.getpid()}
seen |= {"session": os.getsid(0), "group": os.getpgrp(), "stdin": os.readlink("/proc/self/fd/0")}
ways = (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM)
seen["ignored"] = [number for number in ways if signal.getsignal(number) is signal.SIG_IGN]
path = os.path.join(os.path.dirname(os.path.abspath(__file__)), f"seen-{os.getpid()}")
with open(path + ".new", "w") as file:
    json.dump(seen, file)
os.rename(path + ".new", path + ".json")
while True:
    signal.pause()
"""


class Keeper:
    """Starts sessions by one backend, as ``up`` does behind a green gate."""

    def __init__(self, vm: Vm, name: str, environ: Mapping[str, str] | None = None) -> None:
        self.vm = vm
        self.name = name
        self.environ = {**vm.environ, **(environ or {})}
        self.witness = vm.root / "witness"
        if not self.witness.exists():  # it may run already
            self.witness.write_text(_WITNESS % sys.executable)
            self.witness.chmod(0o700)
        self.backend = self.another_backend()

    def another_backend(self) -> Backend:
        """Return the backend as a later launcher makes it, which remembers nothing."""
        state = str(self.vm.state)
        if self.name == "process":
            return ProcessBackend(state)
        tmux = find_program("tmux", "/", self.environ)
        if self.name == "tmux":
            return TmuxBackend(state, tmux, self.environ)
        return SystemdBackend(state, tmux, self.environ, Manager.own(self.environ))

    def start(
        self,
        name: str,
        *argv: str,
        directory: Path | None = None,
        account: str = "primary",
        passing: Sequence[str] = (),
        limits: Mapping[str, str] | None = None,
        restart: str = "no",
        environ: Mapping[str, str] | None = None,
    ) -> None:
        """Start the session *name*; its program is the witness unless *argv* is another."""
        command = argv or (str(self.witness),)
        where = str(directory or self.vm.root)
        kept = (restart, tuple((limits or {}).items()))
        session = Session(name, account, where, command, tuple(passing), *kept)
        home = Account(account, str(self.vm.home(account)))
        given = session_environment(session, home, {**self.environ, **(environ or {})})
        program = find_program(command[0], where, self.environ)
        assert program is not None
        lock = prepare(str(self.vm.state), name)
        inventory = str(self.vm.inventory)
        self.backend.start(Start(session, home, program, given, inventory, lock=lock))

    def kept(self, name: str = "work") -> Kept:
        """Return the one session called *name*, as a later launcher sees it."""
        found = [kept for kept in self.another_backend().kept() if kept.name == name]
        assert 1 == len(found)
        return found[0]

    def dead(self, name: str = "work") -> Kept:
        """Wait for the session's end; return what this launcher knows of it."""
        found: list[Kept] = []

        def ended() -> bool:
            found[:] = [kept for kept in self.backend.kept() if kept.name == name]
            return bool(found) and not found[0].alive

        wait_until(ended, f"session {name} ends")
        return found[0]

    def seen(self, name: str = "work") -> dict[str, Any]:
        """Return what the witness that runs as session *name* saw of itself."""
        path = self.vm.root / f"seen-{self.kept(name).process.pid}.json"
        wait_until(path.exists, f"the witness of {name} writes {path}")
        seen: dict[str, Any] = json.loads(path.read_text())
        return seen

    def witnesses(self) -> list[Path]:
        """Return what all witnesses that ever ran have left."""
        return sorted(self.vm.root.glob("seen-*.json"))

    def inventory(self, *sessions: str, **keys: Any) -> Inventory:
        """Write an inventory of sessions that run the witness; return it."""
        commands = {name: [str(self.witness)] for name in sessions}
        self.vm.write(commands, backend=self.name, **keys)
        return load(str(self.vm.inventory))

    def down(self, *names: str) -> list[tuple[str, str]]:
        """Stop sessions of the inventory; return their names and states."""
        from launcher.stop import down

        with Interrupts() as interrupts:
            statuses = down(load(str(self.vm.inventory)), list(names), self.environ, interrupts)
        return [(status.name, status.state.value) for status in statuses]

    def tmux(self, *arguments: str, environ: Mapping[str, str] | None = None) -> str:
        """Call tmux on the backend's server as an operator would; return what it prints."""
        command = ["tmux", "-L", self.vm.tmux_socket.name, "-f", os.devnull, *arguments]
        done = subprocess.run(
            command,
            env={**self.vm.environ, **(environ or {})},
            stdout=subprocess.PIPE,
            text=True,
            check=True,
            timeout=20,
        )
        return done.stdout


def environment_of(pid: int) -> dict[str, str]:
    """Return the environment that a process was started with."""
    content = Path(f"/proc/{pid}/environ").read_bytes()
    pairs = (entry.partition(b"=") for entry in content.split(b"\0") if entry)
    return {os.fsdecode(name): os.fsdecode(value) for name, _, value in pairs}
