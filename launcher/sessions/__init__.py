"""Sessions: what keeps a process running for an account, one backend a module.

A backend keeps the record of what it runs where that record lives and dies with the process:
in tmux's own server, or in a file that names the process and its start time.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, NamedTuple, Protocol, Self

from invariants.model import Account, Session, Settings
from invariants.programs import chosen_backend, find_program
from launcher.processes import Process
from launcher.sessions.groups import Group


class SessionState(StrEnum):
    """What has become of a session, as the report names it."""

    RUNNING = "running"
    STARTED = "started"
    FAILED = "failed"
    HELD = "held"
    STOPPED = "stopped"


class SessionStatus(NamedTuple):
    """One session for the report. ``words`` are for the terminal only: what it printed last.

    ``wanted`` is the account that the inventory names, where the session was switched away from it.
    """

    name: str
    account: str
    state: SessionState
    detail: str | None = None
    words: str | None = None
    wanted: str | None = None

    def held(self) -> Self:
        """Return the state of a session that nothing was done for."""
        stopped = self.state is SessionState.STOPPED
        return self._replace(state=SessionState.HELD) if stopped else self

    def as_report(self) -> dict[str, Any]:
        """Return the report's entry, with ``wanted`` where the inventory wants it elsewhere."""
        entry = {
            "name": self.name,
            "account": self.account,
            "state": self.state.value,
            "detail": self.detail,
        }
        return {**entry, "wanted": self.wanted} if self.wanted else entry


class Kept(NamedTuple):
    """A run of a session, as a backend keeps it, or as its mark alone tells (``backend`` None).

    ``home`` is what its ``CLAUDE_CONFIG_DIR`` was at the start; ``process`` leads it, and
    ``alive`` tells of this one alone; ``where`` tells a person how to look at it; ``ending``
    says how it ended, where it is dead and that is known. A run that is ``over`` is of an earlier
    boot, or of a container that is gone; one that is ``elsewhere`` is another inventory's, whose
    path this is; a ``hidden`` one runs, as its backend says, where this launcher sees no process.
    """

    name: str
    account: str
    home: str
    backend: str | None
    process: Process
    alive: bool
    where: str
    ending: str | None = None
    over: bool = False
    elsewhere: str | None = None
    hidden: bool = False

    @property
    def group(self) -> Group:
        """All that belongs to this run."""
        return Group(self.name, self.process, self.over)


class Start(NamedTuple):
    """All that a backend needs to start a session of the inventory at the path *inventory*.

    *options* are the launcher's own, in front of the command's: which conversation it is, and the
    rules for its memory. *lock* is the file that the program is to hold locked, or None
    (:mod:`launcher.sessions.holders`).
    """

    session: Session
    account: Account
    program: str
    environment: Mapping[str, str]
    inventory: str
    options: tuple[str, ...] = ()
    lock: str | None = None

    @property
    def argv(self) -> list[str]:
        """The program by the path that was checked, and its arguments."""
        return [self.program, *self.options, *self.session.command[1:]]


class Backend(Protocol):
    """What keeps sessions. Each call ends within seconds, and raises Unavailable if it cannot."""

    name: str

    def kept(self) -> list[Kept]:
        """Return all sessions that this backend keeps, those that have died included."""

    def start(self, start: Start) -> None:
        """Start a session; it need not be alive yet when this returns."""

    def words(self, kept: Kept) -> str | None:
        """Return the last lines that a session printed, for a person, or None."""

    def discard(self, kept: Kept) -> None:
        """Forget a session that has died."""


def last_lines(text: str, count: int = 5) -> str | None:
    r"""Return the last *count* lines of *text* that hold something, or None.

    >>> last_lines("one\n\ntwo\n", 1)
    'two'
    """
    lines = [line.rstrip() for line in text.splitlines() if line.strip()]
    return "\n".join(lines[-count:]) or None


def all_backends(settings: Settings, environ: Mapping[str, str]) -> dict[str, Backend]:
    """Return every backend that may keep a session now, whichever is chosen for new ones.

    A session that was started by another backend must be seen, or it would be started twice.
    """
    from launcher.manager import Manager
    from launcher.sessions.process import ProcessBackend
    from launcher.sessions.systemd import SystemdBackend
    from launcher.sessions.tmux import TmuxBackend

    backends: dict[str, Backend] = {"process": ProcessBackend(settings.state)}
    program = find_program("tmux", "/", environ)
    tmux = TmuxBackend(settings.state, program, environ)
    if tmux.is_there():
        backends["tmux"] = tmux
    chosen, manager = settings.backend == "systemd", Manager.own(environ)
    systemd = SystemdBackend(settings.state, program, environ, manager, chosen=chosen)
    if chosen or systemd.is_there():
        backends["systemd"] = systemd
    return backends


def backend_for_starts(
    settings: Settings, backends: Mapping[str, Backend], environ: Mapping[str, str]
) -> Backend:
    """Return the backend that starts sessions."""
    return backends[chosen_backend(settings.backend, environ)]
