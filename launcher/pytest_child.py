"""The child process that runs pytest for one gate, under a time limit.

It is started before the launcher has read its inventory: importing pytest is most of what a gate
waits for, and needs nothing of it. So this module imports nothing that is not needed for a start.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from typing import IO, NamedTuple, Self, cast

from launcher.interrupts import Waiting

TAIL = 4096
"""How much of what a child prints is kept, in bytes: its last words."""

_KEPT = frozenset(
    {"HOME", "USER", "LOGNAME", "PATH", "LANG", "TZ", "LD_LIBRARY_PATH", "XDG_CONFIG_HOME"}
    | {"CLAUDE_FAILOVER_INVENTORY"}
)
_PATIENCE = 2.0
_HERE = os.path.dirname(os.path.abspath(__file__))


def gate_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Return what of *environ* the child gets: nothing that pytest or Python listens to."""
    return {
        name: value for name, value in environ.items() if name in _KEPT or name.startswith("LC_")
    }


def root() -> str:
    """Return the directory that holds ``launcher/`` and the ``invariants/`` that are judged.

    Raises ValueError where these are another copy's, by PYTHONPATH or a leftover: what is judged
    would not be what is run.
    """
    from invariants.checks import directory

    above = os.path.dirname(_HERE)
    if directory() != os.path.join(above, "invariants"):
        raise ValueError(f"invariants stand in {directory()}, and not beside {_HERE}")
    return above


class Run(NamedTuple):
    """How a child ended: its exit status (None: the time limit), and what it left."""

    status: int | None
    document: bytes
    current: str
    output: str


class Shared:
    """The files that a run shares with its child: what it is given, the document, the check.

    They have no name and no disk: full disks and stale files cannot interfere. A context
    manager, which closes them.
    """

    def __init__(self) -> None:
        with ExitStack() as opened:
            names = ("given", "document", "check")
            self._files = [opened.enter_context(_memory(name)) for name in names]
            self._opened = opened.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._opened.close()

    def give(self, content: bytes) -> None:
        """Write what the child is given."""
        given = self._files[0]
        given.write(content)
        given.flush()
        given.seek(0)

    @property
    def descriptors(self) -> list[int]:
        """The descriptors, in the order in which the child takes them."""
        return [file.fileno() for file in self._files]

    def run(self, status: int | None, tail: bytes) -> Run:
        """Return the run that ended with *status*, and printed *tail* last."""
        _, document, current = map(_content, self._files)
        line = current.partition(b"\n")[0].decode(errors="replace")
        return Run(status, document, line, "" if status is None else _last_line(tail))


class PytestChild:
    """One child: started when it is made, run once, and gone when the ``with`` block ends.

    *program* stands beside this file. Until it is run it waits for a line on its standard input;
    should the launcher be killed, it reads the end of it, and is gone too. Raises OSError where it
    cannot be started.
    """

    def __init__(self, environ: Mapping[str, str], program: str = "child.py") -> None:
        with ExitStack() as opened:
            self._shared = opened.enter_context(Shared())
            command = [sys.executable, "-I", "-X", "utf8", os.path.join(_HERE, program)]
            command += [os.path.dirname(_HERE), *map(str, self._shared.descriptors)]
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env=gate_environment(environ),
                cwd="/",
                pass_fds=self._shared.descriptors,
                start_new_session=True,
            )
            self._opened = opened.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._end()
        self._opened.close()

    def run(self, given: bytes, limit: float, waiting: Waiting) -> Run:
        """Let the child run on what it is *given*; return how that ended, within *limit* seconds.

        What is left of the child afterwards is killed. Raises what *waiting* raises, OSError or
        ValueError where there could be no run.
        """
        root()
        self._shared.give(given)
        try:
            self._go(limit)
            tail = self._wait(limit, waiting)
        finally:
            self._end()
        return self._shared.run(None if tail is None else self._process.returncode, tail or b"")

    def _go(self, limit: float) -> None:
        """Let the child go on; of one that has ended already its exit status tells."""
        with suppress(BrokenPipeError):
            os.write(self._input.fileno(), f"{limit}\n".encode())
        self._input.close()

    def _wait(self, limit: float, waiting: Waiting) -> bytes | None:
        """Wait for the child's end; return what it printed last, or None when time is over."""
        ending, pipe = os.pidfd_open(self._process.pid), self._output.fileno()
        os.set_blocking(pipe, False)
        tail = b""
        until = time.monotonic() + limit
        watched = [ending, pipe]
        try:
            while (left := until - time.monotonic()) > 0:
                ready = waiting.poll(watched, left)
                if pipe in ready:
                    chunk = read_some(pipe)
                    tail = (tail + chunk)[-TAIL:]
                    if not chunk:
                        watched = [ending]
                if ending in ready:
                    self._process.wait()
                    return tail
            return None
        finally:
            os.close(ending)

    @property
    def _input(self) -> IO[bytes]:
        return cast(IO[bytes], self._process.stdin)

    @property
    def _output(self) -> IO[bytes]:
        return cast(IO[bytes], self._process.stdout)

    def _end(self) -> None:
        """Kill what is left of the child's process group, and do not wait for what cannot die.

        A process in an uninterruptible system call (a dead mount) outlives even SIGKILL.
        """
        if self._output.closed:
            return
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._input.close()
        self._output.close()
        try:
            self._process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            # Keeps Popen from warning about a child that is left behind.
            self._process.returncode = -signal.SIGKILL


def read_some(pipe: int) -> bytes:
    """Return what *pipe*, which does not block, has to give; nothing at its end, or for now."""
    try:
        return os.read(pipe, 65536)
    except BlockingIOError:
        return b""


def _memory(name: str) -> IO[bytes]:
    return open(os.memfd_create(f"claude-failover-{name}"), "w+b")


def _content(file: IO[bytes]) -> bytes:
    file.seek(0)
    return file.read()


def _last_line(content: bytes) -> str:
    lines = [line.strip() for line in content.decode(errors="replace").splitlines()]
    return next((line for line in reversed(lines) if line), "")
