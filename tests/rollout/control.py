"""The control machine: an inventory of Ansible's, and what a run of a playbook told."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.rollout.network import Network
from tests.vm import CHECKOUT

ANSIBLE = CHECKOUT / "deploy" / "ansible"
_BIN = Path(sys.executable).parent
_SECONDS = 300
_RECAP = re.compile(r"^(\S+)\s+: (ok=.*)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Played:
    """How a playbook ended: its exit code, all that it printed, and its recap by host."""

    code: int
    output: str
    recap: Mapping[str, Mapping[str, int]]

    @property
    def changed(self) -> dict[str, list[str]]:
        """The tasks that reported a change, in their order, by host."""
        found: dict[str, list[str]] = {}
        task = ""
        for line in self.output.splitlines():
            if line.startswith("TASK ["):
                task = line.removeprefix("TASK [").partition("]")[0].rpartition(" : ")[2]
            elif match := re.match(r"changed: \[([^\]]+)\]", line):
                tasks = found.setdefault(match[1], [])
                if task not in tasks:
                    tasks.append(task)
        return found

    def outcome(self, host: str) -> str:
        """Return ``unreachable``, ``failed``, ``ok``, or ``untouched`` where nothing was run."""
        counts = self.recap.get(host)
        if counts is None:
            return "untouched"
        if counts["unreachable"]:
            return "unreachable"
        return "failed" if counts["failed"] else "ok"


class Control:
    """A directory with a key, an inventory and the reports; playbooks run in the network's hub."""

    def __init__(self, directory: Path, network: Network, key: Path) -> None:
        self._directory = directory
        self._network = network
        self._key = key
        self.reports = directory / "reports"
        self._log = directory / "log"

    def inventory(
        self, hosts: Mapping[str, int], shared: Mapping[str, Any], **own: Mapping[str, Any]
    ) -> None:
        """Write the inventory: *hosts* by number, what all share, and what one has of its own."""
        entries = {
            name: {"ansible_host": self._network.address(number), **own.get(name, {})}
            for name, number in hosts.items()
        }
        everywhere = {
            "ansible_user": "root",
            "ansible_ssh_private_key_file": str(self._key),
            "ansible_python_interpreter": "/usr/bin/python3",
            "claude_failover_reports": str(self.reports),
            **shared,
        }
        text = json.dumps({"all": {"hosts": entries, "vars": everywhere}}, indent=1)
        (self._directory / "hosts.yml").write_text(text)

    def report(self, host: str) -> dict[str, Any]:
        """Return the ``failover`` key of the report that was fetched from *host*."""
        (path,) = (self.reports / host).rglob("report.json")
        failover: dict[str, Any] = json.loads(path.read_text())["failover"]
        return failover

    def play(self, playbook: str, *options: str) -> Played:
        """Run a playbook to its end."""
        running = self.start(playbook, *options)
        code = running.wait(_SECONDS)
        output = self._log.read_text()
        recap = {
            host: {key: int(value) for key, value in re.findall(r"(\w+)=(\d+)", counts)}
            for host, counts in _RECAP.findall(output)
        }
        return Played(code, output, recap)

    def start(self, playbook: str, *options: str) -> subprocess.Popen[bytes]:
        """Start a playbook."""
        command: Sequence[str] = [
            *self._network.enter,
            str(_BIN / "ansible-playbook"),
            *("-i", str(self._directory / "hosts.yml"), str(ANSIBLE / playbook), *options),
        ]
        with self._log.open("wb") as log:
            return subprocess.Popen(
                command,
                env=self._environ(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self._directory,
            )

    def files(self) -> list[Path]:
        """Return every file that the runs left on the control machine, but for the key."""
        found = [path for path in self._directory.rglob("*") if path.is_file()]
        return [path for path in found if path.name != self._key.name]

    def _environ(self) -> dict[str, str]:
        options = [
            *("-F", "/dev/null", "-o", "ControlMaster=auto", "-o", "ControlPersist=20s"),
            *("-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"),
            *("-o", "BatchMode=yes", "-o", "LogLevel=ERROR"),
        ]
        return {
            "PATH": f"{_BIN}:{os.environ['PATH']}",
            "HOME": str(self._directory),
            "LANG": "C.UTF-8",
            "ANSIBLE_CONFIG": str(ANSIBLE / "ansible.cfg"),
            "ANSIBLE_HOME": str(self._directory / "ansible"),
            "ANSIBLE_SSH_ARGS": " ".join(options),
            "ANSIBLE_SSH_CONTROL_PATH_DIR": str(self._directory / "cp"),
            "ANSIBLE_TIMEOUT": "10",
            "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_LOCALHOST_WARNING": "0",
        }
