"""The tmux backend: every session a tmux session on a server of the launcher's own.

What belongs to the launcher is marked by options on the pane that it started, so that a rename,
further windows, or a session that somebody made by hand under the same name mislead nobody.
The server reads no configuration of the user's: a plugin there that restores sessions would
start Claude Code a second time.
"""

from __future__ import annotations

import os
import pwd
import re
import signal
import struct
import zlib
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from time import monotonic, sleep
from typing import Any

from invariants.finding import quoted
from invariants.programs import socket_directory
from launcher.errors import Unavailable
from launcher.processes import Process, identify, shares_mounts, shares_pids
from launcher.sessions import Kept, Start, died, last_lines
from launcher.sessions.environment import KEPT_BACK
from launcher.sessions.process import ending
from launcher.sessions.trampoline import trampoline
from launcher.spawner import VARIABLE as SPAWNER
from launcher.spawner import spawn

SERVER_NAME = b"tmux: server"
"""What a server calls itself in ``/proc/PID/stat``."""

_SECONDS = 10.0
_UCRED = struct.Struct("3i")  # pid, uid, gid: unix(7)
_REAPING = 0.5
_RETURNING = 2.0
_PAUSE = 0.02
_MARK = "@claude_failover_"
_FIELDS = (
    *(f"#{{{_MARK}{name}}}" for name in ("session", "account", "home")),
    "#{pane_pid}",
    "#{pane_dead_status}",
    "#{pane_dead_signal}",
    "#{pane_id}",
    "#{session_id}",
    "#{pid}",
)
_OF_THE_USER = ("HOME", "USER", "LOGNAME", "SHELL", "PATH", "LANG", "TZ")
_ROOM = 40  # characters; the path of a socket has 107 bytes (unix(7))
_PORTION = 4000  # bytes; tmux takes 16 KB of words in one call
_RESET = [
    ("set-option", "-gu", "update-environment"),
    ("set-option", "-s", "exit-empty", "on"),
]


class TmuxBackend:
    """Keeps sessions in the tmux server called ``claude-failover`` (``tmux -L``).

    *state* is the inventory's state directory: another than the default has a server of its
    own. *program* is tmux's path, or None where it is not installed. ``TMUX_TMPDIR`` has no
    say, or a boot and a login shell would see two servers, and start each session twice.
    *only* names the one session that a server is for, where each has one of its own.
    """

    name = "tmux"

    def __init__(
        self,
        state: str,
        program: str | None,
        environ: Mapping[str, str],
        *,
        only: str | None = None,
    ) -> None:
        self._program = program
        self._state = state
        self._only = only
        self.label = server_label(state, only)
        self._spawner = environ.get(SPAWNER)
        # What the server has, every later session has too: nothing of one start's own.
        self._environ = {name: value for name, value in environ.items() if name in _OF_THE_USER}
        self._panes: dict[int, str] = {}
        self._clients: dict[int, str] = {}  # what is called, by the server's pid
        self._prepared = False

    @property
    def socket(self) -> str:
        """The server's socket, as tmux(1) names it for ``-L`` without ``TMUX_TMPDIR``."""
        return f"{socket_directory(os.geteuid())}/{self.label}"

    def is_there(self) -> bool:
        """Tell whether tmux is installed, or a server runs all the same."""
        return self._program is not None or self._has_server()

    def kept(self) -> list[Kept]:
        """Return the panes that carry the launcher's mark.

        tmux may not have noticed a death yet: its next answer has the reason. tmux 3.3a at times
        does not notice at all (1 of 8 that ended within 80 ms) until another child of its ends.
        """
        until = monotonic() + _REAPING
        while True:
            rows = self._rows()
            hidden = bool(rows) and self.is_out_of_sight()
            client = self._named_client() if rows else ""
            seen = self._hidden if hidden else self._pane
            kept = [seen(row, client) for row in rows]
            if hidden or monotonic() > until or all(one.alive or one.ending for one in kept):
                return kept
            with suppress(ProcessLookupError):
                os.kill(int(rows[0][-1]), signal.SIGCHLD)

    def _rows(self) -> list[list[str]]:
        if not self._has_server():
            return []
        status, output, error = self._ask("list-panes", "-a", "-F", "\t".join(_FIELDS))
        if status != 0:
            if not self._has_server():  # it ended in between
                return []
            if self._ask("list-sessions")[:2] == (0, ""):
                return []  # a launcher was killed before its first start
            raise Unavailable(f"tmux does not list its panes: {error}")
        rows = [line.split("\t") for line in output.splitlines()]
        return [row for row in rows if len(row) == len(_FIELDS) and row[0]]

    @property
    def server_argv(self) -> list[str]:
        """What runs the server, in the foreground: so it stays the process that is watched."""
        assert self._program is not None
        return [self._program, "-u", "-D", "-L", self.label, "-f", os.devnull]

    @property
    def server_environment(self) -> dict[str, str]:
        """What the server has of the user, and so has every session."""
        return dict(self._environ)

    def start(self, start: Start, when_dead: Sequence[str] = ()) -> None:
        """Start a session detached, marked, and with the reason of a death kept on its screen.

        *when_dead* are commands of tmux's that follow on its death; without them, the death is
        told to who brings sessions back, if one is to bring back this.

        ``update-environment`` makes tmux copy the named variables from this very call into the
        session's environment, and mark those that are not there as removed: later shells in it
        see the same, and no value stands on a command line. It is reset behind the start, or
        everybody who attaches would overwrite them. ``remain-on-exit`` is the pane's alone, or
        windows that an operator opens would never close: tmux sees no child's end before the
        last of these commands. Raises Unavailable; a session may have come up all the same.
        """
        self._prepare()
        name = start.session.name
        pane, directory = f"={name}:", _literal(start.session.directory)
        marks = {"session": name, "account": start.account.name, "home": start.account.home}
        environ = {k: value for k, value in start.environment.items() if k != "TMUX_TMPDIR"}
        portions = _portions(dict.fromkeys((*environ, *_OF_THE_USER, *KEPT_BACK)))
        *before, last = (("set-option", "-ga", "update-environment", names) for names in portions)
        for command in before:
            self._succeed(*command)
        commands = [
            last,
            ("new-session", "-d", "-s", name, "-c", directory, "--", *trampoline(start)),
            *(("set-option", "-p", "-t", pane, _MARK + key, text) for key, text in marks.items()),
            ("set-option", "-p", "-t", pane, "remain-on-exit", "on"),
            *_hooks(pane, when_dead or self._told(start)),
            *_RESET,
        ]
        status, _, error = self._call(*_sequence(commands), environ=environ)
        if status != 0:
            self._prepared = False
            self._call(*_sequence(_RESET))
            raise Unavailable(f"tmux did not start it: {error or ending(status)}")

    def words(self, kept: Kept) -> str | None:
        """Return the last lines on the session's screen, and what scrolled off it last.

        tmux scrolls once to tell that a pane is dead: a single line would be lost.
        """
        pane = self._panes[kept.process.pid]
        try:
            status, output, _ = self._ask("capture-pane", "-p", "-S", "-9", "-t", pane)
        except Unavailable:
            return None
        lines = [line for line in output.splitlines() if not line.startswith("Pane is dead")]
        return last_lines("\n".join(lines)) if status == 0 else None

    def discard(self, kept: Kept) -> None:
        """Close the pane of a session that has died; other windows in it stay.

        They give up the name, or the session could not be started again while they are open.
        """
        pane = self._panes[kept.process.pid]
        has_name = f"#{{==:#{{session_name}},{kept.name}}}"
        rename = f"rename-session -t {pane} _{kept.name}_{pane[1:]}"
        commands = [("if-shell", "-F", "-t", pane, has_name, rename), ("kill-pane", "-t", pane)]
        self._call(*_sequence(commands))

    def _prepare(self) -> None:
        """Have a server that knows nothing of a session's environment.

        It stays without a session until the first one is started, which lets it end again.
        """
        if self._prepared:
            return
        if self._spawner is not None and self._program is not None and not self._has_server():
            self._have_systemd_start_it(self._spawner)
        commands = [
            ("start-server",),
            ("set-option", "-s", "exit-empty", "off"),
        ]
        self._succeed(*_sequence(commands))
        self._prepared = True

    def _told(self, start: Start) -> list[str]:
        """Return what tells of the death of a session that is to be brought back."""
        if start.session.restart == "no":
            return []
        died.expect(self._state)
        line = died.command(self._state, start.session.name)
        return [f"run-shell -b {command_string(_literal(line))}"]

    def _have_systemd_start_it(self, spawner: str) -> None:
        """Start the server in a unit of its own: the launcher's unit would end it with itself."""
        spawn(spawner, self.server_argv, self._environ)
        self.await_server()

    def await_server(self) -> None:
        """Wait until a server that was started answers. Raises Unavailable where it does not."""
        until = monotonic() + _SECONDS
        while not self._has_server():
            if monotonic() > until:
                raise Unavailable(f"tmux's server does not answer within {_SECONDS:g} s")
            sleep(_PAUSE)

    def _succeed(self, *arguments: str) -> None:
        status, _, error = self._call(*arguments)
        if status != 0:
            raise Unavailable(f"tmux starts no server: {error or ending(status)}")

    def _pane(self, row: list[str], client: str) -> Kept:
        session, account, home, pid, status, number, pane, owner, _ = row
        self._panes[int(pid)] = pane
        how = f"-{number}" if number else status
        # tmux has waited for a process whose ending it tells: the pid may be a stranger's now.
        process = (None if how else identify(int(pid))) or Process(int(pid), -1)
        # A pane is dead to tmux as soon as nothing holds its terminal open; the process may run.
        alive = process.is_alive()
        return Kept(
            name=session,
            account=account,
            home=home,
            backend=self.name,
            process=process,
            alive=alive,
            where=quoted(client, "-S", self.socket, "attach", "-t", owner),
            ending=ending(int(how)) if how and not alive else None,
        )

    def _hidden(self, row: list[str], client: str) -> Kept:
        """Return a pane of a server whose processes are not seen here: its word is all there is."""
        kept = self._pane([*row[:3], "-1", *row[4:]], client)
        return kept._replace(hidden=kept.ending is None)

    def bring_back(self, server: Process) -> None:
        """Have the lost *server* make its socket anew, as tmux(1) says of SIGUSR1; wait for it.

        One in another mount namespace makes it elsewhere: that is waited for in vain.
        """
        with suppress(OSError):
            os.makedirs(os.path.dirname(self.socket), mode=0o700, exist_ok=True)
            os.kill(server.pid, signal.SIGUSR1)
        until = monotonic() + _RETURNING
        while self.server() != server.pid and monotonic() < until:
            sleep(_PAUSE)

    def is_out_of_sight(self) -> bool:
        """Tell whether a server answers whose processes have other pids here, or none.

        It is in another container that shares ``/tmp``.
        """
        pid = self.server()
        return pid is not None and (pid == 0 or not shares_pids(pid))

    def _has_server(self) -> bool:
        return self.server() is not None

    def server(self) -> int | None:
        """Return the pid of the server that answers at the socket, or None.

        It is 0 for a server in a pid namespace that is not below this one: it has no pid here
        (unix(7)).
        """
        try:
            os.lstat(self.socket)
            import socket  # not where no session was ever started in tmux

            client = socket.socket(socket.AF_UNIX)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise Unavailable(f"tmux's server: {self.socket}: {error}") from error
        with client:
            client.settimeout(_SECONDS)
            try:
                client.connect(self.socket)
            except (FileNotFoundError, ConnectionRefusedError):
                return None
            except OSError as error:
                raise Unavailable(f"tmux's server: {self.socket}: {error}") from error
            credentials = client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
            return int(_UCRED.unpack(credentials)[0])

    def _client(self) -> str | None:
        """Return tmux's program: that of the server itself, where it is of another version.

        A server lives on while its program is upgraded, and a client of another version may wait
        for an answer for ever (3.3a for a server of 3.1c, measured).
        """
        pid = self.server()
        if not pid or self._program is None:
            return self._program
        if pid not in self._clients:
            own = f"/proc/{pid}/exe"
            is_other = shares_mounts(pid) and _is_other(own, self._program, self._environ)
            self._clients[pid] = own if is_other else self._program
        return self._clients[pid]

    def _named_client(self) -> str:
        """Return the program to attach with, as a person calls it."""
        program = self._client()
        return "tmux" if program is None or program == self._program else program

    def _ask(self, *question: str) -> tuple[int, str, str]:
        """Call tmux for what changes nothing.

        A Ctrl-C goes to the launcher's whole process group, which a child leaves a moment after
        it was forked: one that was killed is called again.
        """
        answer = self._call(*question)
        return self._call(*question) if answer[0] < 0 else answer

    def _call(
        self, *arguments: str, environ: Mapping[str, str] | None = None
    ) -> tuple[int, str, str]:
        """Call tmux and return its exit code (negative: a signal) and what it printed."""
        from subprocess import DEVNULL, TimeoutExpired

        from plumbum import CommandNotFound, local  # as dear as six checks: not before the verdict

        program = self._client()
        if program is None:
            raise Unavailable(f"a tmux server runs ({self.socket}), but tmux is not in PATH")
        try:
            options = ["-u", "-L", self.label, "-f", os.devnull, *(["-N"] if self._only else [])]
            command = local[program][options, arguments]
            with local.env():
                local.env.clear()
                local.env.update(environ or self._environ)
                process: Any = command.popen(stdin=DEVNULL, new_session=True, cwd="/")
        except (CommandNotFound, OSError, ValueError) as problem:
            raise Unavailable(f"tmux cannot be called: {problem}") from problem
        try:
            output, error = process.communicate(timeout=_SECONDS)
        except TimeoutExpired:
            # The pipes do not end: their other ends are on the way to the server that hangs.
            process.kill()
            process.wait()
            process.stdout.close()
            process.stderr.close()
            words = f"{program} gave no answer within {_SECONDS:g} s"
            raise Unavailable(f"{words} for the server at {self.socket}") from None
        return process.returncode, output.decode(errors="replace"), error.decode().strip()


def _is_other(own: str, program: str, environ: Mapping[str, str]) -> bool:
    """Tell whether a server's *own* program is of another version than *program*."""
    try:
        if os.path.samefile(own, program):
            return False
    except OSError:
        return False
    versions = [_version(path, environ) for path in (own, program)]
    return None not in versions and versions[0] != versions[1]


def _version(program: str, environ: Mapping[str, str]) -> str | None:
    """Return the version that *program* tells by ``-V``, which asks no server; None if it does not.

    In front of it stands the name that it was called by.
    """
    import subprocess

    try:
        done = subprocess.run(
            [program, "-V"],
            env=dict(environ),
            cwd="/",
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.decode(errors="replace").strip().rpartition(" ")[2] or None


def server_label(state: str, only: str | None = None) -> str:
    """Return the name of the tmux server for a state directory (``tmux -L NAME``).

    The default directory of the user has the plain name; the user's home is the one of the
    password database here, since under another ``HOME`` the same words mean another directory.
    The server that is *only* for one session has that session's name behind a dot, as much of
    it as the path of a socket has room for.
    """
    label = f"claude-failover-{zlib.crc32(os.fsencode(state)):08x}"
    with suppress(KeyError):
        home = pwd.getpwuid(os.geteuid()).pw_dir
        if state == os.path.join(home, ".local/state/claude-failover"):
            label = "claude-failover"
    if only is None:
        return label
    short = only if len(only) <= _ROOM else f"{only[:_ROOM]}.{zlib.crc32(only.encode()):08x}"
    return f"{label}.{short}"


def _sequence(commands: Sequence[tuple[str, ...]]) -> list[str]:
    """Join commands for one call; a final ``;`` that is meant is escaped, or tmux splits there."""
    words: list[str] = []
    for command in commands:
        if words:
            words.append(";")
        words += [f"{word[:-1]}\\;" if word.endswith(";") else word for word in command]
    return words


def _portions(names: Iterable[str]) -> list[str]:
    """Join *names* with spaces, each portion short enough for one call, and with one in front."""
    portions = [""]
    for name in names:
        if len(portions[-1]) + len(os.fsencode(name)) > _PORTION:
            portions.append("")
        portions[-1] += f" {name}"
    return portions


def label_of_server(words: Sequence[str]) -> str | None:
    """Return the label (``tmux -L``) in the command line of a tmux server of a launcher's."""
    if words and os.path.basename(words[0]) == "tmux" and "-L" in words[:-1]:
        return words[words.index("-L") + 1]
    return None


def _hooks(pane: str, commands: Sequence[str]) -> list[tuple[str, ...]]:
    """Return what has *commands* follow when the program of *pane* has ended."""
    return [("set-hook", "-p", "-t", pane, "pane-died", " ; ".join(commands))] if commands else []


def command_string(text: str) -> str:
    r"""Return *text* as a string of tmux's own language, where nothing in it means anything.

    >>> print(command_string('say "$HOME"'))
    "say \"\$HOME\""
    """
    return '"' + re.sub(r'([\\"$])', r"\\\1", text) + '"'


def _literal(path: str) -> str:
    """Return *path* for an argument that tmux expands as a format, where ``#`` is special."""
    return path.replace("#", "##")
