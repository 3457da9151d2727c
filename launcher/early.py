"""What comes before all else: the gate's child is started, which everybody waits for.

Importing pytest is most of what a gate takes, and needs nothing of the launcher, which reads its
command line and its inventory meanwhile. So this module imports nothing that an interpreter has
not loaded by itself.
"""

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType
    from typing import Self

GATED = frozenset({"check", "up", "run"})
"""The verbs that run a gate in the process that they are called in."""

_KEPT = frozenset(
    {"HOME", "USER", "LOGNAME", "PATH", "LANG", "TZ", "LD_LIBRARY_PATH", "XDG_CONFIG_HOME"}
    | {"CLAUDE_FAILOVER_INVENTORY"}
    | {"CLAUDE_CODE_USE_BEDROCK", "CLAUDE_CODE_USE_VERTEX", "CLAUDE_CODE_USE_FOUNDRY"}
)
_HERE = os.path.dirname(os.path.abspath(__file__))
_PATIENCE = 2.0


def open_standard_descriptors() -> None:
    """Make descriptors 0 to 2 exist, or the next file opened would be written as output."""
    while True:
        descriptor = os.open(os.devnull, os.O_RDWR)
        if descriptor > 2:
            os.close(descriptor)
            return


def gate_environment(environ: "Mapping[str, str]") -> "dict[str, str]":
    """Return what of *environ* the child gets: nothing that pytest or Python listens to."""
    return {
        name: value for name, value in environ.items() if name in _KEPT or name.startswith("LC_")
    }


def isolated(program: str) -> "list[str]":
    """Return the command that runs *program* with nothing of Python's set from outside.

    ``-I`` leaves out the variables, the user's site and the working directory; ``-S`` leaves out
    the code that an interpreter runs when it starts: ``sitecustomize``, and the lines of ``.pth``
    files that begin with ``import``. Such code could set what ``-I`` and
    :func:`gate_environment` have taken away. So *program* needs :func:`site_directories`.
    """
    return [sys.executable, "-I", "-S", "-X", "utf8", program]


def site_directories() -> "list[str]":
    """Return the directories that packages are installed in, as this interpreter knows them."""
    import site  # loaded by every interpreter that was started without -S

    return site.getsitepackages()


class Shared:
    """The files that a run shares with its child: what it is given, the document, the check.

    They have no name and no disk: full disks and stale files cannot interfere.
    """

    def __init__(self) -> None:
        self.descriptors: list[int] = []
        """In the order in which the child takes them."""
        try:
            for name in ("given", "document", "check"):
                self.descriptors.append(os.memfd_create(f"claude-failover-{name}"))
        except BaseException:
            self.close()
            raise

    def give(self, content: bytes) -> None:
        """Write what the child is given."""
        given = self.descriptors[0]
        with open(given, "wb", closefd=False) as file:
            file.write(content)
        os.lseek(given, 0, os.SEEK_SET)  # the child reads from where this process stands

    def document(self) -> bytes:
        """Return what the child has left, whole or not."""
        return _content(self.descriptors[1])

    def check(self) -> str:
        """Return the check that was the last to start."""
        return _content(self.descriptors[2]).partition(b"\n")[0].decode(errors="replace")

    def close(self) -> None:
        """Close the files."""
        while self.descriptors:
            os.close(self.descriptors.pop())


def _content(descriptor: int) -> bytes:
    return os.pread(descriptor, os.fstat(descriptor).st_size, 0)


class Started:
    """A child process that waits for its word, and our ends of what it shares with us.

    Until it is given a line on its standard input it does nothing but get ready; should the
    launcher be killed, it reads the end of it, and is gone. A context manager, which ends it.
    """

    def __init__(self, environ: "Mapping[str, str]", program: str = "child.py") -> None:
        """Start *program*, which stands beside this file. Raises OSError where it cannot be."""
        self.pid = 0
        self.ending = -1
        """Can be read once it has ended, as :attr:`output` can be what it prints."""
        self._open: set[int] = set()
        self.shared = Shared()
        try:
            theirs, self._word = self._pipe()
            self.output, printed = self._pipe()
            self._spawn(program, gate_environment(environ), theirs, printed)
            self.ending = os.pidfd_open(self.pid)
            self._open.add(self.ending)
        except BaseException:
            self.end()
            raise
        self._close(theirs)
        self._close(printed)

    def _pipe(self) -> "tuple[int, int]":
        ends = os.pipe()
        self._open.update(ends)
        return ends

    def _close(self, descriptor: int) -> None:
        if descriptor in self._open:
            self._open.remove(descriptor)
            os.close(descriptor)

    def _spawn(self, program: str, environ: "dict[str, str]", theirs: int, printed: int) -> None:
        shared = self.shared.descriptors
        command = [*isolated(os.path.join(_HERE, program)), os.path.dirname(_HERE)]
        command += [*map(str, shared), *site_directories()]
        actions = [
            (os.POSIX_SPAWN_DUP2, theirs, 0),
            (os.POSIX_SPAWN_DUP2, printed, 1),
            (os.POSIX_SPAWN_DUP2, printed, 2),
        ]
        try:
            for descriptor in shared:
                os.set_inheritable(descriptor, True)
            self.pid = os.posix_spawn(
                sys.executable, command, environ, file_actions=actions, setsid=True
            )
        finally:
            for descriptor in shared:
                os.set_inheritable(descriptor, False)

    def __enter__(self) -> "Self":
        return self

    def __exit__(
        self,
        kind: "type[BaseException] | None",
        error: "BaseException | None",
        trace: "TracebackType | None",
    ) -> None:
        self.end()

    def go_on(self, limit: float) -> None:
        """Give the child its word, with the time limit in seconds.

        Of a child that has ended already its status tells.
        """
        try:
            os.write(self._word, f"{limit}\n".encode())
        except BrokenPipeError:
            pass
        self._close(self._word)

    def status(self) -> "int | None":
        """Return the exit status of a child that has ended, or minus a signal's number; or None.

        The child stays a zombie until :meth:`kill`: its pid, and so its group, is nobody else's.
        """
        ended = os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        if ended is None:
            return None
        return ended.si_status if ended.si_code == os.CLD_EXITED else -ended.si_status

    def kill(self) -> None:
        """Kill what is left of the child's process group, and do not wait for what cannot die.

        A process in an uninterruptible system call (a dead mount) outlives even SIGKILL.
        """
        pid, self.pid = self.pid, 0
        if not pid:
            return
        import select
        import signal

        for kill in (os.killpg, os.kill):  # it may not have a group of its own yet
            try:
                kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        if self.ending < 0:
            os.waitpid(pid, 0)
            return
        poller = select.poll()
        poller.register(self.ending, select.POLLIN)
        poller.poll(_PATIENCE * 1000)
        os.waitpid(pid, os.WNOHANG)

    def end(self) -> None:
        """Kill what is left of the child, and close what was shared with it."""
        self.kill()
        for descriptor in list(self._open):
            self._close(descriptor)
        self.shared.close()


def early(words: "list[str]") -> "Started | None":
    """Start the gate's child where the command line's *words* ask for a gate, as far as is seen.

    Nothing is said of trouble: whoever needs the child tries again, and says what is wrong. One
    that was started for nothing ends with this process.
    """
    rest = iter(words)
    for word in rest:
        if word == "--inventory":
            next(rest, None)
        elif not word.startswith("-"):
            try:
                return Started(os.environ) if word in GATED else None
            except OSError:
                return None
    return None
