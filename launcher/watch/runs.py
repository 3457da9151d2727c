"""The runs of the gate: one at a time in the warm process, and the next one ready."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress

from invariants.inventory import Inventory
from launcher.gate import TROUBLE
from launcher.pytest_child import Run
from launcher.watch.code import Code
from launcher.watch.warm import Lost, Stale, Warm

Wait = Callable[[list[int], float], object]
"""Waits until one of some descriptors can be read, or a moment of the monotonic clock."""


class Runs:
    """Runs the gate, by the code that is on the disk."""

    def __init__(self, environ: Mapping[str, str], wait: Wait) -> None:
        self._wait = wait
        self._warm = Warm(environ)
        self._code = Code.loaded()

    def outcome(self, inventory: Inventory, meanwhile: Callable[[], None]) -> Run | Exception:
        """Return a run of the gate, or what kept it from being one.

        *meanwhile* is called as soon as the run goes on, and again should there be a second one.
        Raises Stale where the code on the disk is no longer that of this process.
        """
        try:
            try:
                return self._run(inventory, meanwhile)
            except Lost:  # killed for want of memory, say: once more, from the start
                self._warm.close()
                return self._run(inventory, meanwhile)
        except TROUBLE as error:
            self._warm.close()
            return error

    def get_ready(self, inventory: Inventory) -> None:
        """Do what of the next run needs no change to have happened; that one tells of trouble."""
        with suppress(*TROUBLE, Stale):
            self._warm.get_ready(inventory)

    def _run(self, inventory: Inventory, meanwhile: Callable[[], None]) -> Run:
        running = self._warm.start(inventory)
        try:
            meanwhile()
            if (changed := self._code.changed()) is not None:
                raise Stale(changed)
            while True:
                self._wait(running.descriptors, running.limit)
                if (run := running.advance()) is not None:
                    return run
        finally:
            running.end()

    def close(self) -> None:
        """End the warm process."""
        self._warm.close()
