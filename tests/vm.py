"""A VM small enough for a test: homes, targets, an inventory, and the launcher beside them."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from launcher.sessions.tmux import label_of_server, server_label
from tests.schema import validated
from tests.shell_lines import is_a_line_for_a_shell

CHECKOUT = Path(__file__).resolve().parents[1]
LINKS = ("session-env", "file-history", "projects")
MARK = "CLAUDE_FAILOVER_TEST_VM"
UNPRIVILEGED = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"] if os.geteuid() == 0 else []
"""What makes permissions count for root too: it keeps its uid and loses its capabilities."""


class Vm:
    """Two accounts with three links each, all right until a test breaks something."""

    def __init__(self, root: Path, accounts: Sequence[str] = ("primary", "backup")) -> None:
        self.root = root
        self.accounts = list(accounts)
        self.prefix: list[str] = []  # what every launcher is called by
        self.shared = root / "shared"
        self.state = root / "state"
        self.inventory = root / "failover.toml"
        self.user_home = root / "user"
        self.user_home.mkdir(mode=0o700)
        for name in self.accounts:
            self.home(name).mkdir(mode=0o700)
        self.environ = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.user_home),
            "LANG": "C.UTF-8",
            MARK: str(root),
        }
        for name, value in os.environ.items():
            if name.startswith("COVERAGE_"):
                self.environ[name] = value
        self.write()

    def home(self, account: str) -> Path:
        return self.root / f"home-{account}"

    def entry(self, account: str, link: str) -> Path:
        return self.home(account) / link

    def target(self, link: str) -> Path:
        return self.shared / link

    @property
    def report_path(self) -> Path:
        return self.state / "report.json"

    @property
    def report(self) -> dict[str, Any]:
        """The report's ``failover`` key; the whole report is as its schema has it.

        Each fix in it is a line for a shell.
        """
        failover: dict[str, Any] = validated(json.loads(self.report_path.read_text()))["failover"]
        for told in (*failover["failures"], *failover.get("warnings", ())):
            assert is_a_line_for_a_shell(told["fix"]), told["fix"]
        return failover

    @property
    def root_of_report(self) -> Path:
        """The directory from which the gate took its tests, as pytest's document tells."""
        return Path(json.loads(self.report_path.read_text())["root"])

    def write(
        self,
        sessions: Mapping[str, Sequence[str]] | None = None,
        *,
        backend: str = "process",
        settle: float = 0.05,
        more: str = "",
        session_keys: str = "",
        directory: Path | None = None,
        **launcher: object,
    ) -> None:
        """Write the inventory; the sessions, by name and argv, run under the first account."""
        lines = ["[shared]", f"root = {json.dumps(str(self.shared))}"]
        for name in self.accounts:
            home = json.dumps(str(self.home(name)))
            lines += ["[[accounts]]", f'name = "{name}"', f"home = {home}"]
        for name, command in (sessions or {}).items():
            lines += ["[[sessions]]", f'name = "{name}"', f'account = "{self.accounts[0]}"']
            lines += [f"directory = {json.dumps(str(directory or self.root))}"]
            lines += [f"command = {json.dumps(list(command))}", session_keys]
        lines += ["[launcher]", f"state = {json.dumps(str(self.state))}"]
        lines += [f'backend = "{backend}"', f"settle = {settle}"]
        lines += [f"{key} = {json.dumps(value)}" for key, value in launcher.items()]
        self.inventory.write_text("\n".join([*lines, more, ""]))
        self.inventory.chmod(0o600)

    def link(self) -> Vm:
        """Create every target and link, as an operator's ``launcher ensure`` would."""
        for link in LINKS:
            self.target(link).mkdir(mode=0o700, parents=True, exist_ok=True)
            for account in self.accounts:
                self.entry(account, link).symlink_to(self.target(link))
        return self

    def diverge(self, account: str = "backup", link: str = "projects") -> Path:
        """Let one link lead elsewhere; return it."""
        elsewhere = self.root / "elsewhere"
        elsewhere.mkdir(exist_ok=True)
        entry = self.entry(account, link)
        entry.unlink(missing_ok=True)
        entry.symlink_to(elsewhere)
        return entry

    def run(
        self,
        *arguments: str,
        environ: Mapping[str, str] | None = None,
        prefix: Sequence[str] = (),
        python: Sequence[str] = (sys.executable,),
        inventory: bool = True,
        **popen: Any,
    ) -> subprocess.CompletedProcess[str]:
        """Run ``python -m launcher`` to its end."""
        option = ["--inventory", str(self.inventory)] if inventory else []
        command = [*self.prefix, *prefix, *python, "-m", "launcher", *option, *arguments]
        popen.setdefault("cwd", self.root)
        popen.setdefault("timeout", 60)
        if "stdout" not in popen:
            popen.update(stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        environment = {**self.environ, **(environ or {})}
        return subprocess.run(command, env=environment, text=True, check=False, **popen)

    def pytest(self, *arguments: str, **popen: Any) -> subprocess.CompletedProcess[str]:
        """Run ``pytest invariants`` by hand, in the checkout."""
        command = [sys.executable, "-m", "pytest", "invariants", *arguments]
        command += ["--inventory", str(self.inventory), "-p", "no:cacheprovider"]
        return subprocess.run(
            command, env=self.environ, text=True, check=False, capture_output=True, cwd=CHECKOUT
        )

    def shell(self, line: str) -> subprocess.CompletedProcess[str]:
        """Run what an operator pastes; ``launcher`` is this one."""
        return subprocess.run(
            ["sh", "-c", f'launcher() {{ {sys.executable} -m launcher "$@"; }}; {line}'],
            env=self.environ,
            text=True,
            check=False,
            capture_output=True,
            cwd=self.root,
        )

    def deploy(self) -> Path:
        """Copy the program beside the VM, where a test may spoil it; return its directory."""
        copy = self.root / "deploy"
        for package in ("invariants", "launcher"):
            ignore = shutil.ignore_patterns("__pycache__")
            shutil.copytree(CHECKOUT / package, copy / package, ignore=ignore)
        for file in ("conftest.py", "pyproject.toml"):
            shutil.copy(CHECKOUT / file, copy)
        return copy

    def processes(self) -> list[int]:
        """Return the pids of everything that was started from this VM's environment."""
        mark = f"{MARK}={self.root}".encode()
        return [pid for pid in pids() if mark in _words(pid, "environ")]

    def tmux_servers(self) -> list[int]:
        """Return the pids of tmux servers that the VM's launchers started, socket or none."""
        labels = {socket.name for socket in self._sockets()}
        return [pid for pid in pids() if (_label(pid) or "").split(".")[0] in labels]

    def kill(self) -> None:
        """End everything at once, as a power cut does: also what is just being forked."""

        def ended() -> bool:
            left = [*self.processes(), *self.tmux_servers()]
            for pid in left:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            return not left

        wait_until(ended, "the VM's processes end")

    def _sockets(self) -> list[Path]:
        """Return the sockets of the tmux servers for the state directories that tests use."""
        default = self.user_home / ".local" / "state" / "claude-failover"
        places = (self.state, self.root / "state", self.root / "moved", default)
        return [tmux_socket(place) for place in dict.fromkeys(places)]

    def close(self) -> None:
        """End whatever still runs."""
        self.kill()
        for socket in self._sockets():
            for each in (socket, *socket.parent.glob(f"{socket.name}.*")):
                each.unlink(missing_ok=True)

    @property
    def tmux_socket(self) -> Path:
        return tmux_socket(self.state)


def pids() -> Iterator[int]:
    """Yield the pid of every process but this one."""
    for name in os.listdir("/proc"):
        if name.isdigit() and int(name) != os.getpid():
            yield int(name)


def _words(pid: int, file: str) -> list[bytes]:
    with suppress(OSError):
        return Path(f"/proc/{pid}/{file}").read_bytes().split(b"\0")[:-1]
    return []


def _label(pid: int) -> str | None:
    return label_of_server(list(map(os.fsdecode, _words(pid, "cmdline"))))


def tmux_socket(state: Path) -> Path:
    """Return the socket of the tmux server for a state directory, which tmux leaves behind."""
    return Path(f"/tmp/tmux-{os.geteuid()}/{server_label(str(state))}")


def snapshot(*roots: Path) -> dict[str, tuple[object, ...]]:
    """Return all that a reader must leave as it is of every file below *roots*."""
    seen: dict[str, tuple[object, ...]] = {}
    for root in roots:
        for path in [root, *sorted(root.rglob("*"))]:
            status = path.lstat()
            content: object = None
            if stat.S_ISLNK(status.st_mode):
                content = os.readlink(path)
            elif stat.S_ISREG(status.st_mode):
                content = hashlib.sha256(path.read_bytes()).hexdigest()
            seen[str(path)] = (
                status.st_ino,
                status.st_mode,
                status.st_uid,
                status.st_nlink,
                status.st_size,
                status.st_mtime_ns,
                content,
            )
    return seen


def wait_until(condition: Callable[[], object], what: str, seconds: float = 20.0) -> None:
    """Wait until *condition* holds; fail with *what* was waited for when it never does."""
    until = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > until:
            raise AssertionError(f"waited {seconds:g} s in vain: {what}")
        time.sleep(0.01)
