"""A warm process: pytest and the invariants' code imported, and a fork of it for each gate.

Started by path in isolated mode and without start-up files, as :mod:`launcher.child` is, whose
``run`` each fork calls: the same arguments, the same environment, a process and a process group of
its own. Nothing of pytest runs in this process, and it has no thread, so that a fork starts as a
new interpreter would, but for the imports. It lets nothing go on once a file of the code has
changed on the disk.

Messages on the socket (``SOCK_SEQPACKET``), each with the number N of a run: ``new N`` asks for a
child, which collects and is held. With it come four descriptors, the three of
:class:`launcher.early.Shared` and a pipe for what the child prints. ``go N SECONDS`` lets it run
its tests. The answers are ``N pid PID``, ``N went`` and ``N status STATUS``, or ``N stale PATH``,
or ``N failed TEXT``. The child stays a zombie, so that its pid is nobody else's, until ``done N``
or the next ``new`` comes.
"""

from __future__ import annotations

import gc
import importlib
import os
import select
import signal
import socket
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from launcher.watch.code import Code

_DESCRIPTORS = 4


def main(arguments: list[str]) -> int:
    """Serve until the socket's other end is closed.

    *arguments*: the directory that holds ``invariants/`` and ``launcher/``, the number of the
    socket's descriptor, and the site directories.
    """
    root, number, *sites = arguments
    if root not in sys.path:
        sys.path.insert(0, root)
    from launcher.watch.code import Code

    early = Code.below(os.path.join(root, "invariants"), os.path.join(root, "launcher"))
    from launcher.child import find_installed, forget_variables

    find_installed(sites)
    forget_variables()
    _import_all()
    code = early.and_also(Code.loaded())
    if (changed := early.changed()) is not None:
        raise SystemExit(f"{changed} changed while it was imported")
    gc.collect()
    gc.freeze()  # what is there already costs no child a copy of its pages
    # The other end may be closed with an answer on the way.
    with socket.socket(fileno=int(number)) as control, suppress(ConnectionError):
        _Server(control, root, code).serve()
    return 0


def _import_all() -> None:
    """Import what a gate needs: pytest with its plugins, and the invariants, tests excepted.

    The tests are pytest's to import, in each child.
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
    importlib.import_module("launcher.watch.held")
    importlib.import_module("_pytest._argcomplete")
    for name in ("ascii", "unicode_escape"):
        importlib.import_module(f"encodings.{name}")


class _Server:
    """Serves one child at a time: the last that was asked for."""

    def __init__(self, control: socket.socket, root: str, code: Code) -> None:
        self._control = control
        self._root = root
        self._code = code
        self._children: set[int] = set()
        self._number = 0
        self._child = 0
        self._ending: int | None = None  # its pidfd, until it has ended
        self._word: int | None = None  # where its word to go on is written, until it is

    def serve(self) -> None:
        """Serve until the other end is closed; a child that is held ends with this process."""
        while True:
            poller = select.poll()
            poller.register(self._control, select.POLLIN)
            if self._ending is not None:
                poller.register(self._ending, select.POLLIN)
            ready = {descriptor for descriptor, _ in poller.poll()}
            if self._ending in ready:
                self._tell_status()
            if self._control.fileno() in ready and not self._take():
                return

    def _take(self) -> bool:
        """Take a message; tell whether there was one."""
        request, descriptors, _, _ = socket.recv_fds(self._control, 256, _DESCRIPTORS)
        try:
            match request.decode().split():
                case ["new", number]:
                    self._let_go()
                    self._number = int(number)
                    self._fork(descriptors)
                case ["go", number, seconds] if int(number) == self._number:
                    self._let_go_on(seconds)
                case ["done", number] if int(number) == self._number:
                    self._let_go()
        finally:
            for descriptor in descriptors:
                os.close(descriptor)
        return request != b""

    def _fork(self, descriptors: list[int]) -> None:
        """Fork a child for one gate, and tell its pid."""
        if (changed := self._code.changed()) is not None:
            self._say(f"stale {changed}")
            return
        reader, writer = os.pipe2(os.O_CLOEXEC)
        try:
            pid = os.fork()
            if pid == 0:
                _become_child(self._root, reader, descriptors)
            self._children.add(pid)
            self._ending = os.pidfd_open(pid)
        except OSError as error:
            os.close(writer)
            self._say(f"failed {error.strerror}")
            return
        finally:
            os.close(reader)
        self._child, self._word = pid, writer
        self._say(f"pid {pid}")

    def _let_go_on(self, seconds: str) -> None:
        """Let the child go on if it is as the code on the disk would have it."""
        if (changed := self._code.changed()) is not None:
            self._say(f"stale {changed}")
        elif self._word is not None:
            with suppress(BrokenPipeError):  # its end is told by its status
                os.write(self._word, f"{seconds}\n".encode())
            os.close(self._word)
            self._word = None
            self._say("went")

    def _tell_status(self) -> None:
        assert self._ending is not None
        os.close(self._ending)
        self._ending = None
        ended = os.waitid(os.P_PID, self._child, os.WEXITED | os.WNOWAIT)
        if ended is not None:
            by_itself = ended.si_code == os.CLD_EXITED
            status = ended.si_status if by_itself else -ended.si_status
            self._say(f"status {status}")

    def _let_go(self) -> None:
        """Let go of the children that have ended. One that cannot die yet is tried again."""
        for descriptor in (self._ending, self._word):
            if descriptor is not None:
                os.close(descriptor)
        self._ending = self._word = None
        for pid in list(self._children):
            if os.waitpid(pid, os.WNOHANG)[0] == pid:
                self._children.remove(pid)

    def _say(self, text: str) -> None:
        self._control.send(f"{self._number} {text}".encode(errors="replace"))


def _become_child(root: str, word: int, descriptors: list[int]) -> NoReturn:
    """Run one gate in the forked process, and end it with pytest's exit code."""
    code = 1
    try:
        os.setsid()
        *shared, output = descriptors
        os.dup2(output, 1)
        os.dup2(output, 2)
        from launcher import child
        from launcher.watch.held import Held

        child.keep_only([*shared, word])  # not even the socket stays open
        signal.set_wakeup_fd(-1)
        code = child.run(root, *shared, Held(word))
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
