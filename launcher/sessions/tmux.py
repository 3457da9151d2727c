"""The tmux backend: every session a tmux session on a server of the launcher's own.

What belongs to the launcher is marked by options on the pane that it started, so that a rename,
further windows, or a session that somebody made by hand under the same name mislead nobody.
The server reads no configuration of the user's: a plugin there that restores sessions would
start Claude Code a second time.
"""

from __future__ import annotations

import os
import socket
import zlib
from collections.abc import Mapping
from subprocess import DEVNULL, TimeoutExpired
from typing import Any

from invariants.finding import quoted
from launcher.errors import Unavailable
from launcher.processes import Process, identify
from launcher.sessions import SECRETS, Kept, Start, last_lines
from launcher.sessions.process import ending
from launcher.sessions.trampoline import trampoline

_SECONDS = 10.0
_MARK = "@claude_failover_"
_FIELDS = (
    *(f"#{{{_MARK}{name}}}" for name in ("session", "account", "home")),
    "#{pane_pid}",
    "#{pane_dead}",
    "#{pane_dead_status}",
    "#{pane_dead_signal}",
    "#{pane_id}",
    "#{session_id}",
)


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
            if name not in (*SECRETS, "TMUX", "TMUX_PANE", "TMUX_TMPDIR", "CLAUDE_CONFIG_DIR")
        }
        self._panes: dict[str, str] = {}
        self._prepared = False

    @property
    def socket(self) -> str:
        """The server's socket, as tmux(1) names it for ``-L`` without ``TMUX_TMPDIR``."""
        return f"/tmp/tmux-{os.geteuid()}/{self._label}"

    def is_there(self) -> bool:
        """Tell whether tmux is installed, or a server runs all the same."""
        return self._program is not None or self._has_server()

    def kept(self) -> list[Kept]:
        """Return the panes that carry the launcher's mark."""
        if not self._has_server():
            return []
        status, output, error = self._call("list-panes", "-a", "-F", "\t".join(_FIELDS))
        if status != 0:
            if not self._has_server():  # it ended in between
                return []
            raise Unavailable(f"tmux does not list its panes: {error}")
        rows = [line.split("\t") for line in output.splitlines()]
        return [self._pane(row) for row in rows if len(row) == len(_FIELDS) and row[0]]

    def start(self, start: Start) -> None:
        """Start a session detached, marked, and with the reason of a death kept on its screen.

        ``update-environment`` makes tmux copy the named variables from this very call into the
        session's environment, and mark those that are not there as removed: later shells in it
        see the same, and no value stands on a command line. It is reset behind the start, or
        everybody who attaches would overwrite them. Raises Unavailable.
        """
        self._prepare()
        name = start.session.name
        pane, directory = f"={name}:", _literal(start.session.directory)
        marks = {"session": name, "account": start.account.name, "home": start.account.home}
        named = ("CLAUDE_CONFIG_DIR", "PATH", *SECRETS, *start.session.pass_environment)
        commands = [
            ("set-option", "-g", "update-environment", " ".join(named)),
            ("new-session", "-d", "-s", name, "-c", directory, "--", *trampoline(start)),
            ("set-option", "-gu", "update-environment"),
            *(("set-option", "-p", "-t", pane, _MARK + key, text) for key, text in marks.items()),
            ("set-option", "-s", "exit-empty", "on"),
        ]
        status, _, error = self._call(*_sequence(commands), environ=start.environment)
        if status != 0:
            self._prepared = False
            self._call("set-option", "-gu", "update-environment")
            self._call("set-option", "-s", "exit-empty", "on")
            raise Unavailable(f"tmux did not start it: {error}")

    def words(self, kept: Kept) -> str | None:
        """Return the last lines on the session's screen."""
        status, output, _ = self._call("capture-pane", "-p", "-t", self._panes[kept.name])
        lines = [line for line in output.splitlines() if not line.startswith("Pane is dead")]
        return last_lines("\n".join(lines)) if status == 0 else None

    def discard(self, kept: Kept) -> None:
        """Close the pane of a session that has died; other windows in it stay."""
        self._call("kill-pane", "-t", self._panes[kept.name])

    def _prepare(self) -> None:
        """Have a server that knows nothing of a session's environment, and keeps dead panes.

        It stays without a session until the first one is started, which lets it end again.
        """
        if self._prepared:
            return
        commands = [
            ("start-server",),
            ("set-option", "-s", "exit-empty", "off"),
            ("set-option", "-gw", "remain-on-exit", "on"),
        ]
        status, _, error = self._call(*_sequence(commands))
        if status != 0:
            raise Unavailable(f"tmux starts no server: {error}")
        self._prepared = True

    def _pane(self, row: list[str]) -> Kept:
        session, account, home, pid, dead, status, number, pane, owner = row
        self._panes[session] = pane
        process = identify(int(pid)) or Process(int(pid), -1)
        alive = dead != "1" and process.is_alive()
        how = f"-{number}" if number else status
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
        """Call tmux and return its exit code and what it printed."""
        if self._program is None:
            raise Unavailable(f"a tmux server runs ({self.socket}), but tmux is not in PATH")
        from plumbum import local  # costs as much as six checks: not before the verdict

        command = local[self._program]["-u", "-L", self._label, "-f", os.devnull, arguments]
        with local.env():
            local.env.clear()
            local.env.update(environ or self._environ)
            process: Any = command.popen(stdin=DEVNULL, new_session=True, cwd="/")
        try:
            output, error = process.communicate(timeout=_SECONDS)
        except TimeoutExpired:
            process.kill()
            process.communicate()
            raise Unavailable(f"tmux gave no answer within {_SECONDS:g} s") from None
        return process.returncode, output.decode(errors="replace"), error.decode().strip()


def server_label(state: str) -> str:
    """Return the name of the tmux server for a state directory (``tmux -L NAME``)."""
    if state == os.path.expanduser("~/.local/state/claude-failover"):
        return "claude-failover"
    return f"claude-failover-{zlib.crc32(os.fsencode(state)):08x}"


def _sequence(commands: list[tuple[str, ...]]) -> list[str]:
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
