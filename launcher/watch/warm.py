"""The gate without its start-up: run in a fork of a process that has imported all of it.

What a verdict rests on is as in :mod:`launcher.gate`: a process of its own for each run, with the
same arguments and environment, ended with its whole group when the time limit is over, and its
document judged by the same rules.
"""

from __future__ import annotations

import math
import os
import pickle
import select
import signal
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress

from invariants.inventory import Inventory
from launcher.early import Shared, gate_environment, isolated, site_directories
from launcher.pytest_child import TAIL, Run, ended, read_some, root
from launcher.watch.held import OTHERWISE

_PATIENCE = 2.0
_START = 10.0  # seconds for the imports, on a machine that is at work


class Stale(Exception):
    """The code on the disk is no longer what the warm process runs; the text says which file."""


class Lost(OSError):
    """The warm process has ended, or does not answer."""


class Warm:
    """The warm process, started when it is first needed and whenever it is gone."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self._ready: WarmRun | None = None
        self._runs = 0

    def start(self, inventory: Inventory) -> WarmRun:
        """Begin a run. Raises what :data:`launcher.gate.TROUBLE` lists where there can be none."""
        self.get_ready(inventory)
        assert self._ready is not None
        running, self._ready = self._ready, None
        try:
            running.go()
        except BaseException:
            running.end()
            raise
        return running

    def get_ready(self, inventory: Inventory) -> None:
        """Have a run of *inventory* collected beforehand, so that the next one starts at once.

        Raises what :meth:`start` raises.
        """
        if self._process is not None and self._process.poll() is not None:
            self.close()
        if self._ready is not None:
            if self._ready.inventory == inventory:
                return
            self._give_up()
        patience = inventory.settings.timeout
        if self._control is None:
            self._control = self._launch()
            patience += _START
        self._runs += 1
        self._ready = WarmRun(self._control, self._runs, inventory, patience)

    def _give_up(self) -> None:
        if self._ready is not None:
            self._ready.end()
            self._ready = None

    def _launch(self) -> socket.socket:
        above = root()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            program = os.path.join(above, "launcher", "watch", "zygote.py")
            self._process = subprocess.Popen(
                [*isolated(program), above, str(theirs.fileno()), *site_directories()],
                stdin=subprocess.DEVNULL,
                stdout=2,  # what it has to say is trouble
                env=gate_environment(self._environ),
                cwd="/",
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )
        ours.setblocking(False)
        return ours

    def close(self) -> None:
        """End the warm process."""
        self._give_up()
        if self._control is not None:
            self._control.close()
            self._control = None
        if self._process is not None:
            self._process.kill()
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(_PATIENCE)
            self._process.returncode = self._process.returncode or -signal.SIGKILL
            self._process = None


class WarmRun:
    """One run: :meth:`go`, poll :attr:`descriptors`, :meth:`advance` until it returns, :meth:`end`.

    ``limit`` is when its time is over, by the monotonic clock. It is counted anew from the moment
    at which the child goes on: the warm process may have to start first.
    """

    def __init__(
        self, control: socket.socket, number: int, inventory: Inventory, patience: float
    ) -> None:
        """Ask for a child, which collects; it has to go on *patience* seconds after the word.

        *number* is no other run's: what is said about those is not for this one.
        """
        self.inventory = inventory
        self._control = control
        self._number = number
        self._seconds = inventory.settings.timeout
        self._patience = patience
        self.limit = math.inf
        self._child: tuple[int, int] | None = None  # its pid, and a pidfd
        self._went = False  # whether the warm process has let it go on
        self._tail = b""
        self._shared = Shared()
        self._shared.give(pickle.dumps(inventory))
        self._pipe, self._output = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            self._send(f"new {number}", [*self._shared.descriptors, self._output])
        except BaseException:
            self.end()
            raise

    def go(self) -> None:
        """Let the child run its tests. Raises Lost or Stale where it cannot.

        The socket keeps the word until the warm process is ready.
        """
        if self._status() is not None:
            raise Lost("the process that was ready has ended")
        self.limit = time.monotonic() + self._patience
        self._send(f"go {self._number} {self._seconds}")

    @property
    def descriptors(self) -> list[int]:
        """What to poll for input."""
        return [self._control.fileno(), self._pipe]

    def advance(self) -> Run | None:
        """Take what there is; return the run once it is over, or its time is.

        Raises Stale or Lost, and OSError where the warm process could start no child.
        """
        self._tail = (self._tail + read_some(self._pipe))[-TAIL:]
        status = self._status()
        if status is None and time.monotonic() < self.limit:
            return None
        if not self._went:
            raise Lost("the warm process does not answer, or had nothing to let go on")
        self._kill()
        if status == OTHERWISE:
            raise Lost("what is called for has changed since it was collected")
        while some := read_some(self._pipe):
            self._tail = (self._tail + some)[-TAIL:]
        return ended(self._shared, status, self._tail)

    def _status(self) -> int | None:
        """Take the messages that have come; return the child's exit status if it is among them."""
        while (message := self._received()) is not None:
            number, _, answer = message.partition(" ")
            word, _, text = answer.partition(" ")
            if int(number) != self._number:
                continue  # of a run that was given up
            if word == "pid":
                self._child = int(text), os.pidfd_open(int(text))
            elif word == "went":
                self._went = True
                self.limit = time.monotonic() + self._seconds
            elif word == "status":
                return int(text)
            elif word == "stale":
                raise Stale(text)
            else:
                raise OSError(text)
        return None

    def _send(self, request: str, descriptors: Sequence[int] = ()) -> None:
        try:
            socket.send_fds(self._control, [request.encode()], descriptors)
        except BlockingIOError:
            raise Lost("the warm process does not answer") from None
        except ConnectionError as error:
            raise Lost("the warm process has ended") from error

    def _received(self) -> str | None:
        try:
            message = self._control.recv(512)
        except BlockingIOError:
            return None
        except ConnectionError:
            message = b""
        if not message:
            raise Lost("the warm process has ended")
        return message.decode(errors="replace")

    def _kill(self) -> None:
        """Kill what is left of the child's process group.

        Until the warm process is told so, a child that has ended stays a zombie, and its pid its
        own. Where the warm process has ended too, only a child that lives has its pid for sure.
        """
        if self._child is None:
            return
        (pid, descriptor), self._child = self._child, None
        try:
            if self._is_kept() or not select.select([descriptor], [], [], 0)[0]:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
                with suppress(ProcessLookupError):
                    os.killpg(pid, signal.SIGKILL)
        finally:
            os.close(descriptor)

    def _is_kept(self) -> bool:
        try:
            return self._control.recv(1, socket.MSG_PEEK) != b""
        except BlockingIOError:
            return True
        except OSError:
            return False

    def end(self) -> None:
        """Let go of everything; a child that still runs is killed with its process group."""
        self._kill()
        with suppress(OSError):
            self._send(f"done {self._number}")
        for descriptor in (self._pipe, self._output):
            os.close(descriptor)
        self._shared.close()
