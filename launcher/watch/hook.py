"""The operator's own program, run when the verdict changes, with the report on its input.

It cannot harm the watch: it has a time limit, a process group of its own, an input that is a
file and blocks nobody, and never runs twice at once.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from launcher.sessions.environment import SECRETS
from launcher.sessions.groups import VARIABLE
from launcher.watch.notify import VARIABLES

SECONDS = 30.0
"""How long one run may take, before it is killed with its process group."""

_LEAVE = 5.0
_DYING = 1.0


@dataclass(slots=True)
class _Running:
    process: subprocess.Popen[bytes]
    descriptor: int
    limit: float


class Hook:
    """Runs the hook for each change in turn; of changes that come while it runs, the last one."""

    def __init__(self, environ: Mapping[str, str], say: Callable[[str], None]) -> None:
        """Take what the hook inherits of *environ*, and *say*, for what goes wrong with it."""
        mine = {*SECRETS, *VARIABLES, VARIABLE}
        self._environ = {name: value for name, value in environ.items() if name not in mine}
        self._say = say
        self._running: _Running | None = None
        self._waiting: tuple[Sequence[str], bytes] | None = None

    @property
    def descriptors(self) -> list[int]:
        """What to poll for input: it can be read once a run has ended."""
        return [self._running.descriptor] if self._running else []

    @property
    def limit(self) -> float | None:
        """When the run's time is over, by the monotonic clock; None where nothing runs."""
        return self._running.limit if self._running else None

    def change(self, command: Sequence[str], report: bytes) -> None:
        """Run *command* with *report* as its input, now or as soon as the run before has ended."""
        self._waiting = (command, report) if command else None
        self.turn()

    def turn(self) -> None:
        """Note the end of a run, or end it when its time is over; begin the next one."""
        running = self._running
        if running is not None:
            ended = bool(select.select([running.descriptor], [], [], 0)[0])
            if not ended and time.monotonic() < running.limit:
                return
            self._end(running, ended)
        if self._waiting is not None:
            (command, report), self._waiting = self._waiting, None
            self._start(command, report)

    def close(self) -> None:
        """Give what runs and what waits a few seconds, and end it then."""
        until = time.monotonic() + _LEAVE
        while self._running is not None:
            self._running.limit = min(self._running.limit, until)
            select.select([self._running.descriptor], [], [], max(0.0, until - time.monotonic()))
            self.turn()

    def _start(self, command: Sequence[str], report: bytes) -> None:
        try:
            with open(os.memfd_create("claude-failover-report"), "w+b") as file:
                file.write(report)
                file.seek(0)
                process = subprocess.Popen(
                    command,
                    stdin=file,
                    stdout=2,
                    stderr=2,
                    cwd="/",
                    env=self._environ,
                    start_new_session=True,
                )
            self._running = _Running(
                process, os.pidfd_open(process.pid), time.monotonic() + SECONDS
            )
        except (OSError, ValueError) as error:
            self._say(f"on_change: {command[0]} cannot be run: {error}")

    def _end(self, running: _Running, ended: bool) -> None:
        self._running = None
        with suppress(ProcessLookupError):  # what it left behind ends with it
            os.killpg(running.process.pid, signal.SIGKILL)
        os.close(running.descriptor)
        with suppress(subprocess.TimeoutExpired):
            running.process.wait(_DYING)
        name, code = running.process.args, running.process.returncode
        command = name[0] if isinstance(name, Sequence) else name
        if not ended:
            self._say(f"on_change: {command!s} did not end within its time, and was killed")
            running.process.returncode = code if code is not None else -signal.SIGKILL
        elif code:
            self._say(f"on_change: {command!s} ended with {code}")
