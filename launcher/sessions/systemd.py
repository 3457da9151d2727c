"""The systemd backend: every session a transient unit of its own, with limits of its own.

Claude Code draws on a terminal, and a person attaches to it; a unit of systemd's has none that
anybody could attach to. So each unit runs a tmux server for its one session, instead of a pty of
our own that would need a program of our own to attach with. One server a session: what ends one
of them, the kernel for want of memory included, reaches no other.

The environment goes to the session over tmux's socket. ``systemd-run --setenv`` would show it
on a command line, in ``systemctl show`` and in a file below ``/run``; there are only the seven
variables that every server has (home, PATH, language).

``Restart=`` is not used: it would start a session behind the gate's back. A unit that fails
leaves word (:mod:`launcher.sessions.died`), and ``launcher up --died`` brings the session back.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from time import monotonic, sleep

from invariants.access import user_name
from launcher.errors import Unavailable
from launcher.manager import Manager
from launcher.processes import Process, identify
from launcher.sessions import Kept, Start, died, last_lines
from launcher.sessions.groups import VARIABLE, Mark, look
from launcher.sessions.leader import TOLD, leader_argv, one_argument
from launcher.sessions.process import ending
from launcher.sessions.tmux import TmuxBackend, command_string, server_label
from launcher.spawner import VARIABLE as SPAWNER

_PROPERTIES = (
    *("Id", "Description", "ActiveState", "SubState"),
    *("MainPID", "ExecMainPID", "ExecMainCode", "ExecMainStatus"),
)
_NOT_LOADED = 5  # systemctl(1)
_EXITED = "1"  # CLD_EXITED (sigaction(2)); what is not is a signal
_EXISTS = "was already loaded"  # how systemd tells of org.freedesktop.systemd1.UnitExists
_ENDING_SECONDS = 6.0  # more than TimeoutStopSec= below
_PAUSE = 0.02
_TITLE = "Claude Code session "


class SystemdBackend:
    """Keeps sessions as units of systemd's manager for this user: the system's, for root."""

    name = "systemd"

    def __init__(
        self,
        state: str,
        tmux: str | None,
        environ: Mapping[str, str],
        manager: Manager,
        *,
        chosen: bool = True,
    ) -> None:
        """Take what the others take, and whether new sessions are started here."""
        self._chosen = chosen
        self._state = state
        self._tmux = tmux
        self._environ = environ
        self._manager = manager
        self._prefix = f"{server_label(state)}-session-"
        self._servers: dict[str, TmuxBackend] = {}

    def is_there(self) -> bool:
        """Tell whether the manager runs; without it no unit does."""
        return self._manager.is_there()

    def unit(self, name: str) -> str:
        """Return the name of the unit of the session *name*."""
        return f"{self._prefix}{name}.service"

    def kept(self) -> list[Kept]:
        """Return the sessions of the units that are loaded, those that have failed included.

        A user's manager ends with the last login, and its units with it. Raises Unavailable where
        that is no way to keep sessions.
        """
        if self._chosen and not self.is_there():
            user = user_name(os.geteuid())
            fix = f" (fix: loginctl enable-linger {user})" if os.geteuid() else ""
            raise Unavailable(f"no manager answers in {self._manager.directory}{fix}")
        try:
            units = self._manager.units(f"{self._prefix}*.service", _PROPERTIES)
        except Unavailable:
            if self._chosen or self.is_there():
                raise
            return []
        return [self._kept(unit) for unit in units]

    def start(self, start: Start) -> None:
        """Start a unit with a tmux server in it, and the session in this. Raises Unavailable."""
        name = start.session.name
        server = self._server(name)
        if start.session.restart != "no":
            died.expect(self._state)
        words = self._words(name)
        records = os.path.dirname(words)
        try:
            os.makedirs(records, mode=0o700, exist_ok=True)
        except OSError as error:
            raise Unavailable(f"{records}: {error.strerror}") from error
        leader = leader_argv(server.server_argv, server.server_environment, words)
        command = ["systemd-run", *self._options(start), "--", *leader]
        done = self._manager.call(*command)
        until = monotonic() + _ENDING_SECONDS
        while _EXISTS in done.stderr and self._has_ended(name) and monotonic() < until:
            self._forget(name)
            sleep(_PAUSE)
            done = self._manager.call(*command)
        if done.returncode != 0:
            raise Unavailable(f"systemd does not start it: {done.stderr.strip()}")
        try:
            server.await_server()
            told = f"run-shell {command_string(TOLD)}"
            server.start(start, when_dead=[told, "kill-server"])
        except Unavailable:
            self._forget(name)
            raise

    def words(self, kept: Kept) -> str | None:
        """Return the last lines on the session's terminal: as it is, or as it was at the end."""
        if kept.alive:
            return self._server(kept.name).words(kept)
        try:
            with open(self._words(kept.name), encoding="utf-8", errors="replace") as file:
                return last_lines(file.read())
        except OSError:
            return None

    def discard(self, kept: Kept) -> None:
        """Stop what is left of the unit, and have systemd forget it. Raises Unavailable."""
        self._forget(kept.name)

    def _has_ended(self, name: str) -> bool:
        """Tell whether a unit is in the way only until its manager unloads it, or was."""
        asked = ("systemctl", "show", "--value", "--property=ActiveState", "--", self.unit(name))
        return self._manager.call(*asked).stdout.strip() in ("inactive", "failed")

    def _forget(self, name: str) -> None:
        stopped = self._manager.call("systemctl", "stop", "--", self.unit(name))
        self._manager.call("systemctl", "reset-failed", "--", self.unit(name))
        self._servers.pop(name, None)
        if stopped.returncode not in (0, _NOT_LOADED):
            raise Unavailable(f"systemd does not stop it: {stopped.stderr.strip()}")

    def _options(self, start: Start) -> list[str]:
        """Return what the unit is, for systemd-run(1)."""
        session = start.session
        properties = [
            "Type=exec",
            "RemainAfterExit=yes",  # or a session that ended well would leave no trace
            "TimeoutStopSec=5s",
            "OOMPolicy=continue",  # a command of the session's need not take the session with it
            "SyslogIdentifier=claude-failover",
            *(f"{limit}={value}" for limit, value in session.limits),
        ]
        if session.restart != "no":
            line = f'test "$SERVICE_RESULT" = success || {died.command(self._state, session.name)}'
            properties.append(f"ExecStopPost=/bin/sh -c {one_argument(line)}")
        title = f"{_TITLE}{session.name} of {start.account.name}"
        options = ["--quiet", f"--unit={self.unit(session.name)}", f"--description={title}"]
        return options + [f"--property={one}" for one in properties]

    def _server(self, name: str) -> TmuxBackend:
        if name not in self._servers:
            environ = {key: value for key, value in self._environ.items() if key != SPAWNER}
            self._servers[name] = TmuxBackend(self._state, self._tmux, environ, only=name)
        return self._servers[name]

    def _words(self, name: str) -> str:
        return os.path.join(self._state, "sessions", f"{name}.words")

    def _kept(self, unit: dict[str, str]) -> Kept:
        """Return the session of *unit*, waited for where it is about to end.

        A unit whose terminal does not answer counts as alive: it may be the one that writes.
        """
        name = unit["Id"].removeprefix(self._prefix).removesuffix(".service")
        server = self._server(name)
        until = monotonic() + _ENDING_SECONDS
        while _is_up(unit):
            if alive := [pane for pane in server.kept() if pane.alive]:
                return alive[0]._replace(backend=self.name)
            answers = server.server() is not None
            if not answers and (found := self._by_its_mark(name, unit["Id"])) is not None:
                return found
            if monotonic() > until:
                return self._without_terminal(name, unit, alive=not answers)
            sleep(_PAUSE)
            (unit,) = self._manager.units(unit["Id"], _PROPERTIES)
        return self._dead(name, unit)

    def _by_its_mark(self, name: str, unit: str) -> Kept | None:
        """Return the session of a unit whose terminal cannot be reached, if its program runs."""
        for process, environment in look().environments.items():
            mark = Mark.parse(environment.get(VARIABLE, ""))
            if mark and (mark.name, mark.leader) == (name, process.pid) and _is_in(process, unit):
                home = environment.get("CLAUDE_CONFIG_DIR", "")
                return self._found(name, mark.account, home, process, alive=True)
        return None

    def _without_terminal(self, name: str, unit: dict[str, str], *, alive: bool) -> Kept:
        process = identify(int(unit["MainPID"])) or Process(-1, -1)
        return self._found(name, _account(unit), "", process, alive=alive and process.pid > 0)

    def _found(self, name: str, account: str, home: str, process: Process, *, alive: bool) -> Kept:
        unit = self.unit(name)
        gone = f"{unit}, whose tmux server does not answer at {self._server(name).socket}"
        return Kept(name, account, home, self.name, process, alive, where=gone)

    def _dead(self, name: str, unit: dict[str, str]) -> Kept:
        pid, status = int(unit["ExecMainPID"]) or -1, int(unit["ExecMainStatus"])
        exited = unit["ExecMainCode"] == _EXITED
        return Kept(
            name=name,
            account=_account(unit),
            home="",
            backend=self.name,
            process=Process(pid, -1),
            alive=False,
            where=unit["Id"],
            ending=ending(status if exited else -status),
        )


def _is_up(unit: Mapping[str, str]) -> bool:
    if unit["ActiveState"] == "active":
        return unit["SubState"] != "exited"
    return unit["ActiveState"] not in ("failed", "inactive")


def leave_session(environ: Mapping[str, str]) -> None:
    """Become the same launcher outside of every session's unit, if this one runs inside of one.

    Claude Code runs commands, and one of them may stop its own session: systemd would end that
    launcher with the unit. A scope takes over a process that runs (systemd-run(1)).
    """
    if not any("-session-" in unit for unit in _units_of(os.getpid())):
        return
    manager = Manager.own(environ)
    scope = ["systemd-run", *manager.options, "--scope", "--quiet", "--collect", "--"]
    environment = {**environ, "XDG_RUNTIME_DIR": manager.directory}
    os.execvpe("systemd-run", [*scope, *sys.orig_argv], environment)


def _is_in(process: Process, unit: str) -> bool:
    return unit in _units_of(process.pid)


def _units_of(pid: int) -> list[str]:
    """Return the units of the launcher's whose control groups a process is in (cgroups(7))."""
    try:
        with open(f"/proc/{pid}/cgroup", encoding="utf-8", errors="replace") as file:
            groups = [line.rstrip("\n").rpartition("/")[2] for line in file]
    except OSError:
        return []
    return [group for group in groups if group.startswith("claude-failover")]


def _account(unit: Mapping[str, str]) -> str:
    return unit["Description"].rpartition(" of ")[2]
