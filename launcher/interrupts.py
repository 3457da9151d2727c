"""Signals that ask the launcher to end, taken at points where nothing is half done."""

from __future__ import annotations

import os
import select
import signal
import time
from collections.abc import Iterable
from types import FrameType, TracebackType
from typing import Protocol, Self

from launcher.errors import Interrupted

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Waiting(Protocol):
    """What waits, and does meanwhile what its owner must not leave undone."""

    def poll(self, descriptors: list[int], seconds: float) -> list[int]:
        """Wait until one of *descriptors* can be read, or *seconds* are over; return those."""


class Interrupts:
    """While entered, SIGINT, SIGTERM and SIGHUP are noted instead of ending the process.

    Waits end early when one has come; :meth:`check` raises :class:`Interrupted` then. A signal
    that was ignored before (``nohup``, a shell's background job) stays ignored. With other
    *signals* these are noted; with none it can be entered in any thread, and only waits.
    """

    def __init__(self, signals: Iterable[int] = SIGNALS) -> None:
        self._signals = signals
        self._seen: int | None = None
        self._before: dict[int, object] = {}

    def __enter__(self) -> Self:
        self._reader, self._writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        for number in self._signals:
            if signal.getsignal(number) is not signal.SIG_IGN:
                self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]  # what signal() gave us
        os.close(self._reader)
        os.close(self._writer)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self._seen is None:
            self._seen = number
            os.write(self._writer, b"!")

    def let_go(self) -> None:
        """Let signals end this process again, as before anybody noted them; then :meth:`check`."""
        for number in self._before:
            signal.signal(number, signal.SIG_DFL)
        self.check()

    def check(self) -> None:
        """Raise Interrupted if a signal has come."""
        if self._seen is not None:
            raise Interrupted(self._seen, signal.Signals(self._seen).name)

    def poll(self, descriptors: list[int], seconds: float) -> list[int]:
        """Wait until one of *descriptors* can be read, a signal comes, or *seconds* are over.

        Return those that can be read. Raises Interrupted for a signal.
        """
        poller = select.poll()
        for descriptor in (*descriptors, self._reader):
            poller.register(descriptor, select.POLLIN)
        self.check()
        ready = poller.poll(max(0.0, seconds) * 1000)
        self.check()
        return [descriptor for descriptor, _ in ready]

    def sleep(self, seconds: float) -> None:
        """Wait for *seconds*. Raises Interrupted as soon as a signal comes."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            self.poll([], left)
