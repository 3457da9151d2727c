"""Carries out a plan: starts the launchers, ends them, disturbs them, and waits for all to end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tests.interleavings.plan import Call, Plan, Trouble
from tests.vm import Vm

_PATIENCE = 60.0
_FORKS = "while :; do (:); done"
_STORMS = 8
"""Loops that fork: so many that on two cores a look at /proc met a new process in every pass."""


@dataclass(frozen=True, slots=True)
class Done:
    """A launcher that has ended: its exit code (negative: a signal's number) and its words.

    ``hung``: it had to be killed after a minute.
    """

    call: Call
    code: int
    output: str
    hung: bool


class Storm:
    """One plan on one VM. *conversations* are the ids of the sessions' conversations, by name.

    *program* goes on with one that is opened by hand. The launchers have *environ*, and are
    called in *directory*.
    """

    def __init__(
        self,
        vm: Vm,
        plan: Plan,
        conversations: Mapping[str, str],
        program: Sequence[str],
        environ: Mapping[str, str],
        directory: Path,
    ) -> None:
        self.vm = vm
        self._program, self._environ, self._directory = program, environ, directory
        self._plan = plan
        self.conversations = conversations
        self._running: dict[Call, subprocess.Popen[bytes]] = {}
        self._over = threading.Event()

    def carry_out(self) -> list[Done]:
        """Do all of the plan at its times; return the launchers once each has ended."""
        events: list[tuple[float, Callable[[Call], None], Call]] = []
        for call in self._plan.calls:
            events.append((call.at, self._start, call))
            if call.signal is not None:
                events.append((call.at + call.after, self._signal, call))
        began = time.monotonic()
        threads = [
            threading.Thread(target=self._disturb, args=(trouble, began))
            for trouble in self._plan.troubles
        ]
        try:
            for thread in threads:
                thread.start()
            for at, act, call in sorted(events, key=lambda event: event[0]):
                time.sleep(max(0.0, began + at - time.monotonic()))
                act(call)
            return [self._ended(call) for call in self._running]
        finally:
            self._over.set()
            for thread in threads:
                thread.join()
            for process in self._running.values():
                process.kill()
                process.wait()

    def _start(self, call: Call) -> None:
        words = call.argv(self._program, self.conversations[call.session])
        command = [sys.executable, "-m", "launcher", "--inventory", str(self.vm.inventory)]
        # A file, no pipe: what a session inherits of it must keep nobody waiting.
        with (self.vm.root / f"out-{len(self._running)}").open("w") as output:
            self._running[call] = subprocess.Popen(
                [*command, *words],
                env=self._environ,
                cwd=self._directory,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def _signal(self, call: Call) -> None:
        process = self._running[call]
        if process.poll() is None and call.signal is not None:
            process.send_signal(call.signal)

    def _ended(self, call: Call) -> Done:
        process, hung = self._running[call], False
        try:
            process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            hung = True
        number = list(self._running).index(call)
        output = (self.vm.root / f"out-{number}").read_text(errors="replace")
        return Done(call, process.returncode, output, hung)

    def _disturb(self, trouble: Trouble, began: float) -> None:
        if self._over.wait(max(0.0, began + trouble.at - time.monotonic())):
            return
        seconds = trouble.until - trouble.at
        if trouble.kind == "fork storm":
            fork_storm(self.vm, seconds, self._over)
            return
        if trouble.kind == "remove tmux's socket":  # as a cleaner of /tmp does, twice
            self.vm.tmux_socket.unlink(missing_ok=True)
            self._over.wait(seconds)
            self.vm.tmux_socket.unlink(missing_ok=True)
            return
        default = self.vm.user_home / ".local/state/claude-failover"
        until = time.monotonic() + seconds
        while time.monotonic() < until and not self._over.wait(0.003):
            for state in (self.vm.state, default):
                (state / "lock").unlink(missing_ok=True)


def fork_storm(vm: Vm, seconds: float, over: threading.Event) -> None:
    """Let processes come and go as fast as they can, for *seconds* or until *over* is set."""
    storms = [
        subprocess.Popen(["sh", "-c", _FORKS], env=vm.environ, start_new_session=True)
        for _ in range(_STORMS)
    ]
    try:
        over.wait(seconds)
    finally:
        for storm in storms:
            with suppress(ProcessLookupError):
                os.killpg(storm.pid, signal.SIGKILL)
            storm.wait()
