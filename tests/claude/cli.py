"""Runs the real CLI in the homes of a test's VM, headless or in a terminal, against the stub.

Nothing of the user's is touched: HOME, the temporary directory and tmux's socket are the test's
own. The only host that the CLI may reach is the stub, which is also its proxy: whatever it wants
elsewhere is noted there and refused.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from tests.claude.stub import Stub
from tests.vm import Vm, wait_until

CALM = 90.0
"""What anything may take on a machine with other work to do."""

PATIENCE = 5.0
"""How long a key may take to be seen to work, before it is pressed once more."""

# At the end: the option takes all words that follow it.
_ALLOWED = ["--allowedTools", "Bash,Edit,Read,Write"]

_QUIET = {
    "CLAUDE_CODE_DISABLE_OFFICIAL_MARKETPLACE_AUTOINSTALL": "1",
    "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
    "CLAUDE_CODE_ENABLE_SDK_FILE_CHECKPOINTING": "1",  # or `-p` keeps no undo copies
    "CLAUDE_CODE_MAX_RETRIES": "1",
    "DISABLE_AUTOUPDATER": "1",
    "DISABLE_ERROR_REPORTING": "1",
    "DISABLE_TELEMETRY": "1",
    "IS_SANDBOX": "1",  # or root may not use it
    "NO_PROXY": "127.0.0.1",
}


class Cli:
    """One version of Claude Code on a VM, each account with a key of its own."""

    def __init__(self, program: Path, version: str, vm: Vm, stub: Stub) -> None:
        self.program = program
        self.version = version
        self.vm = vm
        self.stub = stub
        self.directory = vm.root / "work"
        self.directory.mkdir()
        # A socket's path has 107 bytes at most, and pytest's directories are long.
        self.scratch = Path(tempfile.mkdtemp(prefix="claude-"))
        self._numbers = itertools.count()
        for account in vm.accounts:
            self._seed(account)

    def _seed(self, account: str) -> None:
        """Write a `.claude.json` that goes straight to the prompt in the VM's directory."""
        document = {
            "hasCompletedOnboarding": True,
            "theme": "dark",
            "customApiKeyResponses": {"approved": [key_of(account)], "rejected": []},
            "projects": {str(self.directory): {"hasTrustDialogAccepted": True}},
        }
        path = self.vm.home(account) / ".claude.json"
        path.write_text(json.dumps(document))
        path.chmod(0o600)

    def environ(self, account: str) -> dict[str, str]:
        """Return the environment that the CLI runs in."""
        return {
            **self.vm.environ,
            **_QUIET,
            "ANTHROPIC_API_KEY": key_of(account),
            "ANTHROPIC_BASE_URL": self.stub.url,
            "CLAUDE_CODE_TMPDIR": str(self.scratch),
            "CLAUDE_CONFIG_DIR": str(self.vm.home(account)),
            "HTTPS_PROXY": self.stub.url,
            "HTTP_PROXY": self.stub.url,
            "TERM": "xterm-256color",
            "TMPDIR": str(self.scratch),
        }

    @property
    def environ_of_launcher(self) -> dict[str, str]:
        """The environment where sessions reach the stub, and nothing but a login is theirs."""
        own = ("ANTHROPIC_API_KEY", "CLAUDE_CONFIG_DIR")
        return {k: v for k, v in self.environ("primary").items() if k not in own}

    def log_in(self, account: str) -> None:
        """Give an account a login of its own, as `/login` leaves it: the token is its key."""
        login = {
            "accessToken": key_of(account),
            "refreshToken": f"refresh-{key_of(account)}",
            "expiresAt": 4102444800000,
            "scopes": ["user:inference", "user:profile"],
            "subscriptionType": "max",
        }
        path = self.vm.home(account) / ".credentials.json"
        path.write_text(json.dumps({"claudeAiOauth": login}))
        path.chmod(0o600)

    def launch(self, *arguments: str, **popen: Any) -> subprocess.CompletedProcess[str]:
        """Run the launcher to its end, in the environment for it."""
        return self.vm.run(*arguments, environ=self.environ_of_launcher, timeout=2 * CALM, **popen)

    def keep(
        self,
        prompt: str,
        *options: str,
        session: str = "work",
        allowed: Sequence[str] = _ALLOWED,
    ) -> None:
        """Write an inventory with a session of the launcher's that says *prompt* at each start."""
        # 2.1.331 would ask a server whether a command is safe, and the stub is none.
        mode = ("--permission-mode", "default")
        command = [str(self.program), prompt, *mode, *options, *allowed]
        self.vm.write(
            {session: command}, backend="tmux", settle=0.2, directory=self.directory, timeout=60
        )

    def pane(self, session: str = "work") -> Pane:
        """Return the terminal of a session of the launcher's."""
        return Pane(self.vm.tmux_socket, session, self.environ("primary"))

    def start(
        self,
        account: str,
        *arguments: str,
        prefix: Sequence[str] = (),
        allowed: Sequence[str] = _ALLOWED,
    ) -> subprocess.Popen[str]:
        """Start ``claude -p`` with *arguments*, after the words of *prefix*."""
        return subprocess.Popen(
            [*prefix, str(self.program), "-p", *arguments, *allowed],
            cwd=self.directory,
            env=self.environ(account),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(
        self,
        account: str,
        *arguments: str,
        prefix: Sequence[str] = (),
        allowed: Sequence[str] = _ALLOWED,
    ) -> subprocess.CompletedProcess[str]:
        """Run ``claude -p`` to its end."""
        with self.start(account, *arguments, prefix=prefix, allowed=allowed) as process:
            output, error = process.communicate(timeout=CALM)
        return subprocess.CompletedProcess(process.args, process.returncode, output, error)

    def open(self, account: str, *arguments: str) -> Terminal:
        """Start ``claude`` in a terminal and return that.

        A prompt or a slash command goes in front of *arguments*: what is typed may be taken for a
        paste, where Enter is a new line.
        """
        command = [str(self.program), *arguments, *_ALLOWED]
        socket = self.scratch / f"tmux{next(self._numbers)}"
        return Terminal(socket, command, self.environ(account), self.directory)

    def set_variable(self, account: str, name: str, value: str) -> None:
        """Give an account a SessionStart hook that sets a variable of the session."""
        command = f'echo "export {name}={value}" >> "$CLAUDE_ENV_FILE"'
        hooks = {"SessionStart": [{"hooks": [{"type": "command", "command": command}]}]}
        (self.vm.home(account) / "settings.json").write_text(json.dumps({"hooks": hooks}))

    def transcripts(self, session: str) -> list[Path]:
        """Return the transcripts of a session id wherever they really are."""
        return sorted(self.vm.root.rglob(f"{session}.jsonl"))

    def records(self, account: str) -> list[Path]:
        """Return the ``sessions/<pid>.json`` of a home."""
        return sorted((self.vm.home(account) / "sessions").glob("*.json"))

    @property
    def folder(self) -> str:
        """The name that the CLI gives to all that belongs to the directory."""
        return re.sub(r"[^a-zA-Z0-9]", "-", str(self.directory))

    def close(self) -> None:
        """End what runs and remove what is not in the VM's directory."""
        self.vm.close()
        # 2.0 knows of no other place for what its background commands print.
        shutil.rmtree(Path("/tmp/claude") / self.folder, ignore_errors=True)
        shutil.rmtree(self.scratch, ignore_errors=True)
        for account in self.vm.accounts:  # where a home's daemon has its sockets
            name = hashlib.sha256(str(self.vm.home(account)).encode()).hexdigest()[:8]
            place = Path(f"/tmp/cc-daemon-{os.geteuid()}") / name
            shutil.rmtree(place, ignore_errors=True)


class Terminal:
    """A program in a tmux server of its own, which ends with the VM."""

    def __init__(
        self, socket: Path, command: Sequence[str], environ: dict[str, str], directory: Path
    ) -> None:
        self._tmux = ["tmux", "-u", "-S", str(socket), "-f", os.devnull]
        self._environ = environ
        size = ["-x", "120", "-y", "40"]
        words = f"exec {shlex.join(command)}"
        self._ask(
            *("set-option", "-g", "remain-on-exit", "on", ";"),
            *("new-session", "-d", "-s", "claude", "-c", str(directory), *size, words),
        )
        self.pid = int(self._ask("list-panes", "-F", "#{pane_pid}"))

    @property
    def screen(self) -> str:
        """What is to be seen now."""
        return self._ask("capture-pane", "-p")

    @property
    def is_ready(self) -> bool:
        """Whether the prompt is there, empty or with a suggestion, and nothing is at work."""
        return re.search(r"^[❯>](\s|$)", self.screen, re.MULTILINE) is not None

    @property
    def ending(self) -> int | None:
        """The exit status of the program, 128 + n for signal n; None while it runs."""
        told = self._ask("list-panes", "-F", "#{pid} #{pane_dead_status} #{pane_dead_signal}")
        server, status, number = told.rstrip("\n").split(" ")
        if not status and not number:
            os.kill(int(server), signal.SIGCHLD)  # tmux 3.3a misses a child's end now and then
            return None
        return 128 + int(number) if number else int(status)

    def wait_for(self, words: str, seconds: float = CALM) -> None:
        """Wait until *words* are to be seen."""
        try:
            wait_until(lambda: words in self.screen, f"the terminal shows {words!r}", seconds)
        except AssertionError as error:
            raise AssertionError(f"{error}; it shows\n{self.screen}") from None

    def press(self, key: str) -> None:
        """Press a key by tmux's name for it."""
        self._ask("send-keys", key)

    def choose(self, words: str, key: str) -> None:
        """Wait for *words*, then press *key* until they are gone."""
        self.wait_for(words)
        self._press_until(key, lambda: words not in self.screen)

    def press_and_see(self, key: str) -> None:
        """Press a key until the screen has changed."""
        before = self.screen
        self._press_until(key, lambda: self.screen != before)

    def _press_until(self, key: str, condition: Callable[[], bool]) -> None:
        # The client draws a list before it hears keys: one that comes in between is lost.
        for _ in range(int(CALM / PATIENCE)):
            self.press(key)
            with suppress(AssertionError):
                wait_until(condition, f"{key} works", PATIENCE)
                return
        raise AssertionError(f"{key} does nothing; the terminal shows\n{self.screen}")

    def _ask(self, *command: str) -> str:
        done = subprocess.run(
            [*self._tmux, *command],
            env=self._environ,
            capture_output=True,
            text=True,
            check=False,
            timeout=20,
        )
        if done.returncode != 0:
            raise AssertionError(f"tmux {' '.join(command)}: {done.stderr}")
        return done.stdout


class Pane(Terminal):
    """The terminal of a session that the launcher keeps."""

    def __init__(self, socket: Path, session: str, environ: dict[str, str]) -> None:
        self._tmux = ["tmux", "-u", "-S", str(socket), "-f", os.devnull]
        self._environ = environ
        self._pane = f"={session}:"
        self.pid = int(self._ask("list-panes", "-t", self._pane, "-F", "#{pane_pid}"))

    @property
    def screen(self) -> str:
        """What is to be seen now."""
        return self._ask("capture-pane", "-p", "-t", self._pane)

    def press(self, key: str) -> None:
        """Press a key by tmux's name for it."""
        self._ask("send-keys", "-t", self._pane, key)

    def type(self, words: str) -> None:
        """Type a line, and Enter once it is to be seen."""
        self._ask("send-keys", "-t", self._pane, "-l", words)
        self.wait_for(words)
        self.press("Enter")


def key_of(account: str) -> str:
    """Return the API key of an account."""
    return f"key-of-{account}"


def turns_of(transcript: Path) -> list[dict[str, Any]]:
    """Return the records of a transcript that are turns of the user or the assistant."""
    records = [json.loads(line) for line in transcript.read_text().splitlines()]
    return [record for record in records if record.get("type") in ("user", "assistant")]
