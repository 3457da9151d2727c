"""One watch keeps the report of one inventory: its claim keeps a second one out.

Two of them would judge, publish and take back in turn, each woken by what the other published.

A claim is a locked file in ``watches`` in the state directory, and in the user's default state
directory, so that it holds while somebody moves the state directory. The kernel drops the lock
with the watch.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import ExitStack, suppress
from time import monotonic

from invariants.inventory import Inventory
from invariants.schema import DEFAULT_STATE
from launcher.directories import make_readable
from launcher.errors import Locked, NotJudged
from launcher.report import living_keeper
from launcher.watch.claimed import alone, claimant, is_at, name, opened, write

DIRECTORY = "watches"
"""Where the claims are, in a state directory."""
PATIENCE = 1.0
"""Seconds that a watch waits for another one that is about to end."""

_PAUSE = 0.05


class Claim:
    """This process's claim on an inventory: :meth:`take` it, and again when that may have moved."""

    def __init__(self) -> None:
        self._held: dict[str, int] = {}  # the locked files, by their paths

    def take(
        self, inventory: Inventory, sleep: Callable[[float], None], patience: float = 0.0
    ) -> None:
        """Claim *inventory*, then let go of what was claimed before.

        *sleep* waits for some seconds, *patience* is how many in all. Raises Locked, with the pid
        of the watch that has it, and NotJudged if no claim can be kept in the state directory.
        """
        until = monotonic() + patience
        while True:
            try:
                self._take(inventory)
                return
            except Locked:
                if monotonic() >= until:
                    raise
            sleep(_PAUSE)

    def stands(self) -> bool:
        """Return whether something is claimed, and still at its path: it may have been removed."""
        return bool(self._held) and all(
            is_at(descriptor, path) for path, descriptor in self._held.items()
        )

    def outlive_exec(self) -> None:
        """Leave the locks to the program that this process becomes; its :meth:`take` finds them."""
        for descriptor in self._held.values():
            os.set_inheritable(descriptor, True)

    def close(self) -> None:
        """Let go of everything."""
        for descriptor in set(self._held.values()):
            os.close(descriptor)
        self._held.clear()

    def _take(self, inventory: Inventory) -> None:
        if (keeper := living_keeper(inventory)) is not None:  # of a version that claims nothing
            raise Locked(_refusal(inventory, keeper.pid))
        default = os.path.expanduser(DEFAULT_STATE)
        with ExitStack() as undo:
            held: dict[str, int] = {}
            state = inventory.settings.state
            if os.path.isabs(default) and os.path.realpath(default) != os.path.realpath(state):
                with suppress(NotJudged):
                    held |= self._claimed(default, inventory, undo)
            held |= self._claimed(state, inventory, undo)
            undo.pop_all()
        before, self._held = self._held, held
        for descriptor in set(before.values()) - set(held.values()):
            os.close(descriptor)

    def _claimed(self, state: str, inventory: Inventory, undo: ExitStack) -> dict[str, int]:
        """Claim *inventory* in the directory *state*; *undo* lets go of what is new of it."""
        directory = os.path.join(state, DIRECTORY)
        try:
            make_readable(state)
            with alone(directory):
                if (pid := claimant(directory, inventory, sweep=True)) is not None:
                    raise Locked(_refusal(inventory, pid))
                path = os.path.join(directory, name(inventory))
                descriptor = self._held.get(path, -1)
                if descriptor < 0 or not is_at(descriptor, path):
                    descriptor = opened(path)
                    undo.callback(os.close, descriptor)
                write(descriptor, inventory)
                return {path: descriptor}
        except OSError as error:
            raise NotJudged(f"no claim can be kept: {directory}: {error.strerror}") from error


def watcher(inventory: Inventory) -> int | None:
    """Return the pid of another process that watches *inventory*, 0 if it is out of sight.

    None if there is none. Changes nothing.
    """
    for state in (os.path.expanduser(DEFAULT_STATE), inventory.settings.state):
        with suppress(OSError):
            pid = claimant(os.path.join(state, DIRECTORY), inventory)
            if pid is not None:
                return pid
    keeper = living_keeper(inventory)
    return None if keeper is None else keeper.pid


def _refusal(inventory: Inventory, pid: int) -> str:
    who = f"pid {pid}" if pid else "its pid cannot be seen from here"
    end = f"kill {pid}" if pid else "end it where it runs"
    return (
        f"another launcher watch keeps the report of this inventory ({who}): {inventory.path}: "
        f"read the report with: launcher status; to replace that watch, end it first with: {end}, "
        "or, if it is the installed one: systemctl [--user] stop claude-failover-watch"
    )
