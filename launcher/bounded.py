"""Looks at the VM in a process that can be given up on: a dead mount hangs whoever touches it."""

from __future__ import annotations

import os
import pickle
import select
import signal
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from time import monotonic, sleep
from typing import Generic, NoReturn, TypeVar, cast

from launcher.errors import LauncherError, NotJudged
from launcher.interrupts import Waiting

_Result = TypeVar("_Result")
_DYING = 0.1


class Look(Generic[_Result]):
    """A call in a forked child that has some seconds for it; its result goes through pickle.

    ``descriptor`` can be read once the child has ended, or is closed by :meth:`end`; ``limit``
    is when its time is over, by the monotonic clock.
    """

    def __init__(
        self, call: Callable[[], _Result], seconds: float, keep: Iterable[int] = ()
    ) -> None:
        """Fork the child; of its parent's descriptors it keeps those in *keep*, and the standard.

        Raises NotJudged where there can be none.
        """
        self._seconds = seconds
        self.limit = monotonic() + seconds
        self._child = 0
        with ExitStack() as undo:
            try:
                descriptor = os.memfd_create("claude-failover-bounded")
                self._answer = undo.enter_context(open(descriptor, "w+b"))
                self._child = os.fork()
                if self._child == 0:
                    _answer(call, seconds, self._answer.fileno(), keep)
                undo.callback(self._kill)
                self.descriptor = os.pidfd_open(self._child)
            except OSError as error:
                raise _failed(error) from error
            undo.pop_all()

    def has_ended(self) -> bool:
        """Return whether the child has ended, so that there is a result or never will be."""
        poller = select.poll()
        poller.register(self.descriptor, select.POLLIN)
        return bool(poller.poll(0))

    def result(self) -> _Result:
        """Return what the call returned, once the child has ended or its time is over.

        Raises NotJudged where there is nothing: the call raised, or it still runs. What it raised
        is raised here where it is a LauncherError.
        """
        if os.waitpid(self._child, os.WNOHANG) == (0, 0):
            raise NotJudged(f"no answer within {self._seconds:g} s: a file system may hang")
        self._child = 0
        try:
            size = os.fstat(self._answer.fileno()).st_size
            result, error = pickle.loads(os.pread(self._answer.fileno(), size, 0))
        except OSError as error:
            raise _failed(error) from error
        except (EOFError, TypeError, pickle.UnpicklingError) as error:
            raise NotJudged("looking at the VM failed: no answer came") from error
        if error is not None:
            raise error
        return cast(_Result, result)

    def end(self) -> None:
        """Kill the child if it still runs, and leave it to itself if it cannot die."""
        if self._child:
            self._kill()
        os.close(self.descriptor)
        self._answer.close()

    def _kill(self) -> None:
        os.kill(self._child, signal.SIGKILL)
        until = monotonic() + _DYING
        while os.waitpid(self._child, os.WNOHANG) == (0, 0) and monotonic() < until:
            sleep(0.001)


def bounded(call: Callable[[], _Result], seconds: float, waiting: Waiting) -> _Result:
    """Return what *call* returns, from a forked child that has *seconds* for it.

    The result goes through pickle. Raises NotJudged where none comes: the time is over (the
    child is killed, and left to itself if it cannot die), the call raised, or there can be no
    child; a LauncherError that it raised is raised here.
    """
    look = Look(call, seconds)
    try:
        while (left := look.limit - monotonic()) > 0:
            if look.descriptor in waiting.poll([look.descriptor], left):
                break
        return look.result()
    finally:
        look.end()


def _failed(error: OSError) -> NotJudged:
    return NotJudged(f"looking at the VM failed: {error.strerror or error}")


def _answer(
    call: Callable[[], object], seconds: float, descriptor: int, keep: Iterable[int]
) -> NoReturn:
    """Run the call in the child, and end it without anything of its parent's running twice.

    It keeps no descriptor of its parent's that it need not have, above all not the lock's: a
    child that hangs would hold the lock for a launcher that was killed.
    """
    try:
        signal.alarm(int(seconds) + 5)  # ends a child whose parent was killed
        low = 3
        for kept in sorted({descriptor, *keep}):
            os.closerange(low, kept)
            low = kept + 1
        os.closerange(low, os.sysconf("SC_OPEN_MAX"))
        os.write(descriptor, pickle.dumps(_outcome(call)))
    finally:
        os._exit(0)


def _outcome(call: Callable[[], object]) -> tuple[object, LauncherError | None]:
    try:
        return call(), None
    except LauncherError as error:
        return None, error
