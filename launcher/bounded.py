"""Looks at the VM in a process that can be given up on: a dead mount hangs whoever touches it."""

from __future__ import annotations

import os
import pickle
import signal
from collections.abc import Callable
from time import monotonic
from typing import TypeVar

from launcher.errors import NotJudged
from launcher.interrupts import Interrupts

_Result = TypeVar("_Result")


def bounded(call: Callable[[], _Result], seconds: float, interrupts: Interrupts) -> _Result:
    """Return what *call* returns, from a forked child that has *seconds* for it.

    The result goes through pickle. Raises NotJudged where none comes: the time is over (the
    child is killed, and left to itself if it cannot die), or the call raised.
    """
    with open(os.memfd_create("claude-failover-bounded"), "w+b") as answer:
        child = os.fork()
        if child == 0:
            _answer(call, seconds, answer.fileno())
        ending = os.pidfd_open(child)
        until = monotonic() + seconds
        try:
            while ending not in interrupts.poll([ending], until - monotonic()):
                if monotonic() >= until:
                    raise NotJudged(f"no answer within {seconds:g} s: a file system may hang")
        finally:
            os.close(ending)
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, os.WNOHANG)
        content = os.pread(answer.fileno(), os.fstat(answer.fileno()).st_size, 0)
    try:
        result: _Result = pickle.loads(content)
    except (EOFError, pickle.UnpicklingError) as error:
        raise NotJudged("looking at the VM failed: no answer came") from error
    return result


def _answer(call: Callable[[], object], seconds: float, descriptor: int) -> None:
    """Run the call in the child, and end it without anything of its parent's running twice.

    It keeps no descriptor of its parent's, above all not the lock's: a child that hangs would
    hold the lock for a launcher that was killed.
    """
    try:
        signal.alarm(int(seconds) + 5)  # ends a child whose parent was killed
        os.closerange(3, descriptor)
        os.closerange(descriptor + 1, os.sysconf("SC_OPEN_MAX"))
        os.write(descriptor, pickle.dumps(call()))
    finally:
        os._exit(0)
