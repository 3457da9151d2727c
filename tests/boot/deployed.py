"""The project on a machine: installed as the page says, for one manager and one backend."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from tests.boot.machine import Machine, Running
from tests.vm import LINKS, wait_until

UID = 1000
HOME = "/home/claude"
INVENTORY = "/etc/claude-failover/failover.toml"
SHARED = f"{HOME}/shared"
STATE = f"{HOME}/.local/state/claude-failover"
UNIT = "claude-failover.service"
EVERY_BACKEND = pytest.mark.parametrize("backend", ["tmux", "systemd", "process"])
EACH_ONCE = pytest.mark.parametrize(
    ("manager", "backend"),
    [("system", "systemd"), ("user", "tmux")],
    ids=["system-systemd", "user-tmux"],
)
"""For what neither of the two decides: each is there once, and not each with each."""
CLAUDE = """#!/bin/sh
state=$CLAUDE_CONFIG_DIR/.claude.json
if [ ! -e "$state" ]; then
    trust='{"hasCompletedOnboarding": true, "projects": {"%s": {"hasTrustDialogAccepted": true}}}'
    login='{"claudeAiOauth": {"accessToken": "%s", "scopes": ["user:inference"]}}'
    umask 077
    printf "$trust" "$(pwd -P)" >"$state"
    printf "$login" "$CLAUDE_CONFIG_DIR" >"$CLAUDE_CONFIG_DIR/.credentials.json"
    exit
fi
echo $$ says hello
exec sleep 1000000
"""
"""A stand-in for Claude Code, which costs money and needs a login: the first start is answered."""


def put_claude(machine: Machine) -> None:
    """Put the stand-in where Claude Code's own installer would; elsewhere it is a wrapper."""
    real = "/usr/local/share/claude/versions/2.1.332"
    machine.write(real, CLAUDE, mode=0o755)
    machine.link("/usr/local/bin/claude", real)


class Deployed:
    """A machine whose units are installed; its accounts' links are made or spoilt by the test."""

    def __init__(self, machine: Machine, manager: str, backend: str) -> None:
        self.machine = machine
        self.manager = manager
        self.backend = backend
        self.accounts = ("primary", "backup")

    def prepare(
        self, *, sessions: Mapping[str, str] | None = None, keys: str = "", more: str = ""
    ) -> Deployed:
        """Boot for the first time: write the inventory, create homes, install the units."""
        put_claude(self.machine)
        self.inventory(sessions, keys=keys, more=more)
        self.machine.boot()
        homes = " ".join(self.home(account) for account in self.accounts)
        self.as_user(f"mkdir -p -m 700 {homes}")
        self.as_user(f"for home in {homes}; do CLAUDE_CONFIG_DIR=$home claude; done")
        if self.manager == "user":
            self.machine.run("loginctl", "enable-linger", "claude")
        self.install()
        return self

    def install(self, *options: str) -> str:
        """Run ``launcher install`` as the page says; return what it printed."""
        if self.manager == "user":
            wait_until(
                lambda: self.machine.path(f"/run/user/{UID}/bus").exists(), "a user manager", 60
            )
            return self.as_user(f"launcher install --user {' '.join(options)}").stdout
        return self.machine.shell(f"launcher install --for claude {' '.join(options)}").stdout

    def inventory(
        self, sessions: Mapping[str, str] | None = None, *, keys: str = "", more: str = ""
    ) -> None:
        """Write the inventory; the sessions, by name and account, all run the stand-in.

        *keys* are more of each session's, *more* of the launcher's.
        """
        lines = ["[shared]", f'root = "{SHARED}"']
        for name in self.accounts:
            lines += ["[[accounts]]", f'name = "{name}"', f'home = "{self.home(name)}"']
        for name, account in (sessions or {"api": "primary", "docs": "backup"}).items():
            lines += ["[[sessions]]", f'name = "{name}"', f'account = "{account}"']
            lines += [f'directory = "{HOME}"', 'command = ["claude"]', keys]
        lines += ["[launcher]", f'backend = "{self.backend}"', "settle = 0.2", more, ""]
        self.machine.write(INVENTORY, "\n".join(lines))

    def home(self, account: str) -> str:
        return f"{HOME}/.claude-{account}"

    def as_user(self, line: str, *, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a line in a login shell of the user's, whose manager it can reach."""
        inside = f"export XDG_RUNTIME_DIR=/run/user/{UID}; {line}"
        return self.machine.run("runuser", "-l", "claude", "-c", inside, check=check)

    def ensure(self) -> None:
        self.as_user(f"launcher --inventory {INVENTORY} ensure")

    def systemctl(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Call the systemctl of the manager that the units are in."""
        if self.manager == "system":
            return self.machine.run("systemctl", *arguments, check=check)
        return self.systemctl_of_the_user(*arguments, check=check)

    def systemctl_of_the_user(
        self, *arguments: str, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """Call the systemctl of the manager that keeps sessions, where systemd does."""
        user = ["setpriv", f"--reuid={UID}", f"--regid={UID}", "--init-groups", "env"]
        user += [f"XDG_RUNTIME_DIR=/run/user/{UID}", "systemctl", "--user"]
        return self.machine.run(*user, *arguments, check=check)

    def shown(self, name: str, unit: str = UNIT) -> str:
        """Return one property of a unit."""
        return self.systemctl("show", "-P", name, unit).stdout.strip()

    @property
    def result(self) -> tuple[str, str]:
        """The unit's state, and how its command ended."""
        return self.shown("ActiveState"), self.shown("ExecMainStatus")

    def restart(self) -> int:
        """Restart the launcher's unit; return systemctl's exit code."""
        self.systemctl("reset-failed", UNIT, check=False)
        return self.systemctl("restart", UNIT, check=False).returncode

    def drop_in(self, unit: str, text: str) -> None:
        """Change a unit until the next boot, as ``systemctl edit --runtime`` does."""
        self.machine.write(f"/run/systemd/{self.manager}/{unit}.d/test.conf", text)
        self.systemctl("daemon-reload")

    def settled(self) -> Deployed:
        """Wait until the boot's start of the unit is over, which a user's manager does later."""
        states = ("active", "failed")
        wait_until(lambda: self.shown("ActiveState") in states, "the unit is started", 60)
        return self

    @property
    def report(self) -> dict[str, Any]:
        failover: dict[str, Any] = json.loads(
            self.machine.path(f"{STATE}/report.json").read_text()
        )["failover"]
        return failover

    def errors(self) -> list[str]:
        """Return the launcher's own entries that ``journalctl -p err`` shows since the boot."""
        return [entry["MESSAGE"] for entry in self.journal("-p", "err") if entry["_PID"] != "1"]

    def journal(self, *more: str) -> list[dict[str, Any]]:
        entries = (
            self.machine.journal(UNIT, *more)
            if self.manager == "system"
            else self.machine.journal(f"user@{UID}.service", f"_SYSTEMD_USER_UNIT={UNIT}", *more)
        )
        return [entry for entry in entries if entry.get("_COMM") != "systemd"]

    def sessions(self) -> dict[str, list[Running]]:
        """Return the stand-ins that run, by the account whose home they have."""
        found: dict[str, list[Running]] = {}
        homes = {self.home(account): account for account in self.accounts}
        for process in self.machine.processes():
            home = process.environ.get("CLAUDE_CONFIG_DIR")
            if process.command[0] == "sleep" and home in homes:
                found.setdefault(homes[home], []).append(process)
        return found

    def pids(self) -> list[int]:
        return sorted(one.pid for some in self.sessions().values() for one in some)

    def tmux_servers(self) -> list[Running]:
        return [one for one in self.machine.processes() if one.command[0].endswith("tmux")]

    def entries(self) -> list[str]:
        return [f"{self.home(account)}/{link}" for account in self.accounts for link in LINKS]


def names(processes: Sequence[Running]) -> list[str]:
    """Return what runs, for a test's message."""
    return [" ".join(process.command) for process in processes]
