"""Watches ``/proc`` for what must never be: two Claude Codes of one session alive at one moment."""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from pathlib import Path
from typing import Self

from launcher.processes import identify, parent_of
from launcher.sessions.groups import VARIABLE, Mark
from tests.vm import Vm


class Watch:
    """Notes, from entry to exit, which processes lead a session of a VM at the same time."""

    pause = 0.003

    def __init__(self, vm: Vm, session: str = "work") -> None:
        self._inventory, self._session = str(vm.inventory), session
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look)
        self.looks = 0
        self.leaders: set[int] = set()
        self.at_once: set[frozenset[int]] = set()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def alive(self) -> frozenset[int]:
        """Return the leaders that are alive now, zombies left out."""
        found = set()
        for name in os.listdir("/proc"):
            if name.isdigit():
                with suppress(OSError, IndexError):
                    if self._leads(int(name)):
                        found.add(int(name))
        return frozenset(found)

    def _look(self) -> None:
        while not self._stop.wait(self.pause):
            alive = self.alive()
            self.looks += 1
            self.leaders |= alive
            if len(alive) > 1 and all(self._leads(pid) for pid in alive):
                self.at_once.add(alive)  # in two looks: none of them ended while the first was made

    def _leads(self, pid: int) -> bool:
        try:
            environ = Path(f"/proc/{pid}/environ").read_bytes()
            state = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
        except OSError:
            return False
        if state[0] in "ZX":
            return False
        for entry in environ.split(b"\0"):
            if entry.startswith(f"{VARIABLE}=".encode()):
                mark = Mark.parse(os.fsdecode(entry.partition(b"=")[2]))
                return mark is not None and (mark.leader, mark.name, mark.inventory) == (
                    pid,
                    self._session,
                    self._inventory,
                )
        return False


class Clients(Watch):
    """The same for a conversation: its clients, those that a person has started among them."""

    pause = 0.02  # of two cores a look every 3 ms would take most of one from the clients

    def __init__(self, vm: Vm, conversation: str) -> None:
        super().__init__(vm)
        self._conversation = conversation

    def alive(self) -> frozenset[int]:
        """Return the clients that are alive now, without what one has forked a moment ago."""
        found = super().alive()
        known = [one for pid in found if (one := identify(pid)) is not None]
        return frozenset(one.pid for one in known if parent_of(one) not in found)

    def _leads(self, pid: int) -> bool:
        try:
            content = Path(f"/proc/{pid}/cmdline").read_bytes()  # a zombie has none
        except OSError:
            return False
        words = os.fsdecode(content).split("\0")
        return self._conversation in words and Path(words[0]).name.startswith("claude")
