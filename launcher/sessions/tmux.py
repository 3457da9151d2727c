"""The tmux backend: every session a tmux session on a server of the launcher's own.

What belongs to the launcher is marked by options on the pane that it started, so that a rename,
further windows, or a session that somebody made by hand under the same name mislead nobody.
The server reads no configuration of the user's: a plugin there that restores sessions would
start Claude Code a second time.
"""

from __future__ import annotations

import os
import pwd
import signal
import socket
import zlib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from subprocess import DEVNULL, TimeoutExpired
from time import monotonic
from typing import Any

from invariants.finding import quoted
from launcher.errors import Unavailable
from launcher.processes import Process, identify
from launcher.sessions import OURS, SECRETS, Kept, Start, last_lines
from launcher.sessions.process import ending
from launcher.sessions.trampoline import trampoline

_SECONDS = 10.0
_REAPING = 0.5
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
_RESET = [
    ("set-option", "-gu", "update-environment"),
    ("set-option", "-s", "exit-empty", "on"),
]


class TmuxBackend:
    """Keeps sessions in the tmux server called ``claude-failover`` (``tmux -L``).

    *state* is the inventory's state directory: another than the default has a server of its
    own. *program* is tmux's path, or None where it is not installed. ``TMUX_TMPDIR`` has no
    say, or a boot and a login shell would see two servers, and start each session twice.
    """

    name = "tmux"

    def __init__(self, state: str, program: str | None, environ: Mapping[str, str]) -> None:
        self._program = program
        self._label = server_label(state)
        self._environ = {
            name: value
            for name, value in environ.items()
            if name not in (*SECRETS, *OURS, "CLAUDE_CONFIG_DIR")
        }
        self._panes: dict[int, str] = {}
        self._prepared = False

    @property
    def socket(self) -> str:
        """The server's socket, as tmux(1) names it for ``-L`` without ``TMUX_TMPDIR``."""
        return f"/tmp/tmux-{os.geteuid()}/{self._label}"

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
            kept = [self._pane(row) for row in rows]
            if monotonic() > until or all(one.alive or one.ending for one in kept):
                return kept
            with suppress(ProcessLookupError):
                os.kill(int(rows[0][-1]), signal.SIGCHLD)

    def _rows(self) -> list[list[str]]:
        if not self._has_server():
            return []
        status, output, error = self._call("list-panes", "-a", "-F", "\t".join(_FIELDS))
        if status != 0:
            if not self._has_server():  # it ended in between
                return []
            if self._call("list-sessions")[:2] == (0, ""):
                return []  # a launcher was killed before its first start
            raise Unavailable(f"tmux does not list its panes: {error}")
        rows = [line.split("\t") for line in output.splitlines()]
        return [row for row in rows if len(row) == len(_FIELDS) and row[0]]

    def start(self, start: Start) -> None:
        """Start a session detached, marked, and with the reason of a death kept on its screen.

        ``update-environment`` makes tmux copy the named variables from this very call into the
        session's environment, and mark those that are not there as removed: later shells in it
        see the same, and no value stands on a command line. It is reset behind the start, or
        everybody who attaches would overwrite them. ``remain-on-exit`` is the pane's alone, or
        windows that an operator opens would never close: tmux sees no child's end before the
        last of these commands. Raises Unavailable.
        """
        self._prepare()
        name = start.session.name
        pane, directory = f"={name}:", _literal(start.session.directory)
        marks = {"session": name, "account": start.account.name, "home": start.account.home}
        named = ("CLAUDE_CONFIG_DIR", "PATH", *SECRETS, *start.session.pass_environment)
        commands = [
            ("set-option", "-g", "update-environment", " ".join(named)),
            ("new-session", "-d", "-s", name, "-c", directory, "--", *trampoline(start)),
            *(("set-option", "-p", "-t", pane, _MARK + key, text) for key, text in marks.items()),
            ("set-option", "-p", "-t", pane, "remain-on-exit", "on"),
            *_RESET,
        ]
        environ = {k: value for k, value in start.environment.items() if k != "TMUX_TMPDIR"}
        status, _, error = self._call(*_sequence(commands), environ=environ)
        if status != 0:
            self._prepared = False
            self._call(*_sequence(_RESET))
            raise Unavailable(f"tmux did not start it: {error}")

    def words(self, kept: Kept) -> str | None:
        """Return the last lines on the session's screen, and what scrolled off it last.

        tmux scrolls once to tell that a pane is dead: a single line would be lost.
        """
        pane = self._panes[kept.process.pid]
        try:
            status, output, _ = self._call("capture-pane", "-p", "-S", "-9", "-t", pane)
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
        commands = [
            ("start-server",),
            ("set-option", "-s", "exit-empty", "off"),
        ]
        status, _, error = self._call(*_sequence(commands))
        if status != 0:
            raise Unavailable(f"tmux starts no server: {error}")
        self._prepared = True

    def _pane(self, row: list[str]) -> Kept:
        session, account, home, pid, status, number, pane, owner, _ = row
        self._panes[int(pid)] = pane
        process = identify(int(pid)) or Process(int(pid), -1)
        how = f"-{number}" if number else status
        # A pane is dead to tmux as soon as nothing holds its terminal open; the process may run.
        alive = process.is_alive() and not how
        return Kept(
            name=session,
            account=account,
            home=home,
            backend=self.name,
            process=process,
            alive=alive,
            where=quoted("tmux", "-S", self.socket, "attach", "-t", owner),
            ending=ending(int(how)) if how and not alive else None,
        )

    def _has_server(self) -> bool:
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(_SECONDS)
            try:
                client.connect(self.socket)
            except (FileNotFoundError, ConnectionRefusedError):
                return False
            except OSError as error:
                raise Unavailable(f"tmux's server: {self.socket}: {error}") from error
        return True

    def _call(
        self, *arguments: str, environ: Mapping[str, str] | None = None
    ) -> tuple[int, str, str]:
        """Call tmux and return its exit code and what it printed.

        A Ctrl-C goes to the launcher's whole process group, which a child leaves a moment after
        it was forked: one that was killed is called again.
        """
        if self._program is None:
            raise Unavailable(f"a tmux server runs ({self.socket}), but tmux is not in PATH")
        answer = self._call_once(self._program, arguments, environ or self._environ)
        if answer[0] < 0:
            answer = self._call_once(self._program, arguments, environ or self._environ)
        return answer

    def _call_once(
        self, program: str, arguments: tuple[str, ...], environ: Mapping[str, str]
    ) -> tuple[int, str, str]:
        from plumbum import local  # costs as much as six checks: not before the verdict

        command = local[program]["-u", "-L", self._label, "-f", os.devnull, arguments]
        with local.env():
            local.env.clear()
            local.env.update(environ)
            process: Any = command.popen(stdin=DEVNULL, new_session=True, cwd="/")
        try:
            output, error = process.communicate(timeout=_SECONDS)
        except TimeoutExpired:
            # The pipes do not end: their other ends are on the way to the server that hangs.
            process.kill()
            process.wait()
            process.stdout.close()
            process.stderr.close()
            raise Unavailable(f"tmux gave no answer within {_SECONDS:g} s") from None
        return process.returncode, output.decode(errors="replace"), error.decode().strip()


def server_label(state: str) -> str:
    """Return the name of the tmux server for a state directory (``tmux -L NAME``).

    The default directory of the user has the plain name; the user's home is the one of the
    password database here, since under another ``HOME`` the same words mean another directory.
    """
    with suppress(KeyError):
        home = pwd.getpwuid(os.geteuid()).pw_dir
        if state == os.path.join(home, ".local/state/claude-failover"):
            return "claude-failover"
    return f"claude-failover-{zlib.crc32(os.fsencode(state)):08x}"


def _sequence(commands: Sequence[tuple[str, ...]]) -> list[str]:
    """Join commands for one call; a final ``;`` that is meant is escaped, or tmux splits there."""
    words: list[str] = []
    for command in commands:
        if words:
            words.append(";")
        words += [f"{word[:-1]}\\;" if word.endswith(";") else word for word in command]
    return words


def _literal(path: str) -> str:
    """Return *path* for an argument that tmux expands as a format, where ``#`` is special."""
    return path.replace("#", "##")
