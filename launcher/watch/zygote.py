"""A warm process: pytest and the invariants' code imported, and a fork of it for each gate.

Started by path in isolated mode, as :mod:`launcher.child` is, whose ``run`` each fork calls: the
same arguments, the same environment, a process and a process group of its own. Nothing of pytest
runs in this process, and it has no thread, so that a fork starts as a new interpreter would,
but for the imports. It forks nothing once a file of what it imported has changed on the disk.

Messages on the socket (``SOCK_SEQPACKET``): a request is the time limit in seconds with four
descriptors, the three of :class:`launcher.pytest_child.Shared` and a pipe for what the child
prints. The answers are ``pid PID`` and ``status PID STATUS``, or ``stale PATH``, or ``failed
TEXT``. The child stays a zombie, so that its pid is nobody else's, until ``done`` comes.
"""

from __future__ import annotations

import gc
import importlib
import os
import select
import signal
import socket
import sys
from typing import NoReturn

_STANDARD = 3
_DESCRIPTORS = 4


def main(arguments: list[str]) -> int:
    """Serve until the socket's other end is closed.

    *arguments*: the directory that holds ``invariants/`` and ``launcher/``, and the number of
    the socket's descriptor.
    """
    root, number = arguments
    if root not in sys.path:
        sys.path.insert(0, root)
    from launcher.watch.code import Code

    early = Code.below(os.path.join(root, "invariants"), os.path.join(root, "launcher"))
    _import_all()
    code = Code.loaded()
    if (changed := early.changed()) is not None:
        raise SystemExit(f"{changed} changed while it was imported")
    gc.collect()
    gc.freeze()  # what is there already costs no child a copy of its pages
    with socket.socket(fileno=int(number)) as control:
        children: set[int] = set()
        while True:
            request, descriptors, _, _ = socket.recv_fds(control, 256, _DESCRIPTORS)
            if not request:
                return 0
            try:
                if request == b"done":
                    _reap(children)
                elif (changed := code.changed()) is not None:
                    control.send(f"stale {changed}".encode(errors="replace"))
                else:
                    _serve(control, root, request.decode(), descriptors, children)
            finally:
                for descriptor in descriptors:
                    os.close(descriptor)


def _import_all() -> None:
    """Import what a gate needs: pytest with its plugins, and the invariants, tests excepted.

    The tests are for each child to import, so that what stands on the disk is what is run.
    """
    import pytest  # noqa: F401  # for the children
    from _pytest import config

    import invariants.plugin

    for name in getattr(config, "default_plugins", ()):
        importlib.import_module(f"_pytest.{name}")
    here = os.path.dirname(invariants.plugin.__file__)
    for name in sorted(os.listdir(here)):
        module = name.removesuffix(".py")
        if module != name and not name.startswith(("test_", "__", "conftest")):
            importlib.import_module(f"invariants.{module}")
    importlib.import_module("pytest_jsonreport.plugin")
    importlib.import_module("launcher.child")
    importlib.import_module("_pytest._argcomplete")
    for name in ("ascii", "unicode_escape"):
        importlib.import_module(f"encodings.{name}")


def _serve(
    control: socket.socket, root: str, limit: str, descriptors: list[int], children: set[int]
) -> None:
    """Fork a child for one gate, tell its pid, and its status once it has ended."""
    try:
        pid = os.fork()
    except OSError as error:
        control.send(f"failed fork: {error.strerror}".encode())
        return
    if pid == 0:
        _become_child(root, limit, descriptors)
    children.add(pid)
    control.send(f"pid {pid}".encode())
    ending = os.pidfd_open(pid)
    try:
        poller = select.poll()
        poller.register(ending, select.POLLIN)
        poller.register(control, select.POLLIN)
        # Whatever comes over the socket first ends the wait: the other side gave the child up.
        if all(descriptor != ending for descriptor, _ in poller.poll()):
            return
    finally:
        os.close(ending)
    ended = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    if ended is not None:
        by_itself = ended.si_code == os.CLD_EXITED
        status = ended.si_status if by_itself else -ended.si_status
        control.send(f"status {pid} {status}".encode())


def _reap(children: set[int]) -> None:
    """Let go of the children that have ended. One that cannot die yet is tried again."""
    for pid in list(children):
        if os.waitpid(pid, os.WNOHANG)[0] == pid:
            children.remove(pid)


def _become_child(root: str, limit: str, descriptors: list[int]) -> NoReturn:
    """Run one gate in the forked process, and end it with pytest's exit code."""
    code = 1
    try:
        os.setsid()
        *shared, output = descriptors
        os.dup2(output, 1)
        os.dup2(output, 2)
        low = _STANDARD
        for descriptor in sorted(shared):  # not even the socket stays open
            os.closerange(low, descriptor)
            low = descriptor + 1
        os.closerange(low, os.sysconf("SC_OPEN_MAX"))
        signal.set_wakeup_fd(-1)
        from launcher import child

        code = child.run(root, float(limit), *shared)
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except (OSError, ValueError):
                pass
        os._exit(code & 0xFF)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
