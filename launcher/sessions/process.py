"""The embedded backend: detached processes, for machines without tmux.

Each has a record ``sessions/NAME.json`` in the state directory, written before its program
runs, and its output in ``sessions/NAME.log``. A record names a process by pid, start time, boot
and pid namespace, so that no recycled pid, reboot or other container makes it look alive.
"""

from __future__ import annotations

import json
import os
import signal
from contextlib import suppress

from invariants.finding import quoted
from launcher.errors import Unavailable
from launcher.processes import Process, identify
from launcher.sessions import Kept, Start, last_lines
from launcher.sessions.place import Place
from launcher.sessions.trampoline import SHELL, trampoline

_RECORD = ".json"
_DEFAULT = [
    *(signal.SIGPIPE, signal.SIGXFSZ),  # Python ignores them
    *(signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGHUP),  # whoever started us may
]
_children: dict[int, Process] = {}
_endings: dict[Process, str] = {}
"""What this launcher started, whichever backend object did: until it is waited for, and after."""
_said_before: dict[str, int] = {}
"""How long a session's log was when this launcher started it, by the log's path."""


class ProcessBackend:
    """Keeps sessions as processes that lead a session (setsid(2)) of their own."""

    name = "process"

    def __init__(self, state: str) -> None:
        self._directory = os.path.join(state, "sessions")

    def kept(self) -> list[Kept]:
        """Return what the records name. Raises Unavailable for one that cannot be read."""
        try:
            files = sorted(os.listdir(self._directory))
        except FileNotFoundError:
            return []
        except OSError as error:
            raise Unavailable(f"{self._directory}: {error.strerror}") from error
        return [self._read(file.removesuffix(_RECORD)) for file in files if file.endswith(_RECORD)]

    def start(self, start: Start) -> None:
        """Start a session whose program runs only once its record is on the disk.

        A launcher that is killed in between leaves a shell that reads the end of its input and
        is gone, never a program that nobody knows of. Raises Unavailable.
        """
        name = start.session.name
        try:
            os.makedirs(self._directory, mode=0o700, exist_ok=True)
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW
            log = os.open(self._path(name, ".log"), flags, 0o600)
            try:
                reader, writer = os.pipe()
            except OSError:
                os.close(log)
                raise
            try:
                _said_before[self._path(name, ".log")] = os.fstat(log).st_size
                self._record(start, self._spawn(start, reader, log))
                os.write(writer, b"\n")
            finally:
                for descriptor in (log, reader, writer):
                    os.close(descriptor)
        except OSError as error:
            raise Unavailable(f"it cannot be started: {error.strerror or error}") from error

    def words(self, kept: Kept) -> str | None:
        """Return the last lines that the session added to its log since this launcher's start."""
        try:
            log = self._path(kept.name, ".log")
            with open(log, "rb") as file:
                size = os.fstat(file.fileno()).st_size
                file.seek(max(_said_before.get(log, 0), size - 4096))
                return last_lines(file.read().decode(errors="replace"))
        except OSError:
            return None

    def discard(self, kept: Kept) -> None:
        """Remove the record; the log stays."""
        os.unlink(self._path(kept.name, _RECORD))

    def _spawn(self, start: Start, reader: int, log: int) -> Process:
        pid = os.posix_spawn(
            SHELL,
            trampoline(start, when_recorded=True),
            start.environment,
            file_actions=[
                (os.POSIX_SPAWN_DUP2, reader, 0),
                (os.POSIX_SPAWN_DUP2, log, 1),
                (os.POSIX_SPAWN_DUP2, log, 2),
            ],
            setsid=True,
            setsigmask=[],
            setsigdef=_DEFAULT,
        )
        _children[pid] = identify(pid) or Process(pid, -1)
        return _children[pid]

    def _record(self, start: Start, process: Process) -> None:
        record = {
            "name": start.session.name,
            "account": start.account.name,
            "home": start.account.home,
            "pid": process.pid,
            "start": process.start,
            **Place.here().as_record(),
        }
        beside = self._path(start.session.name, ".new")
        with suppress(FileNotFoundError):  # a launcher was killed at it
            os.unlink(beside)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        with open(os.open(beside, flags, 0o600), "w", encoding="ascii") as file:
            json.dump(record, file)
            file.flush()
            os.fsync(file.fileno())
        os.rename(beside, self._path(start.session.name, _RECORD))

    def _read(self, name: str) -> Kept:
        path = self._path(name, _RECORD)
        try:
            with open(path, encoding="ascii") as file:
                record = json.load(file)
            process = Process(record["pid"], record["start"])
            over = not Place.here().shares_pids(Place.of(record))
            alive = not over and process.is_alive()
            _reap()  # after that look, or a death in between would have no reason
            return Kept(
                name=name,
                account=record["account"],
                home=record["home"],
                backend=self.name,
                process=process,
                alive=alive,
                where=quoted("tail", "-f", self._path(name, ".log")),
                ending=None if alive else _endings.get(process),
                over=over,
            )
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise Unavailable(
                f"the record of session {name} cannot be read: {path}: {error}"
            ) from error

    def _path(self, name: str, suffix: str) -> str:
        return os.path.join(self._directory, name + suffix)


def _reap() -> None:
    """Note how children of this launcher ended."""
    for pid, child in list(_children.items()):
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            del _children[pid]
            _endings[child] = ending(os.waitstatus_to_exitcode(status))


def ending(code: int) -> str:
    """Say how a process ended, from its exit code (negative: a signal's number)."""
    return f"ended by signal {-code}" if code < 0 else f"exited with status {code}"
