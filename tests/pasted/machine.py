"""A VM with one session of Claude Code's, and a shell on it into which a fix can be pasted."""

from __future__ import annotations

import hashlib
import json
import os
import stat
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests import client
from tests.adopt.world import unseen
from tests.vm import UNPRIVILEGED, Vm

ALIVE = "the shell is alive"

_CLIENT = """\
#!{python} -ISB
# Claude Code, and a person who answers its questions: logged in, set up, the directory trusted.
import json, os, shutil, sys, uuid
home = os.environ["CLAUDE_CONFIG_DIR"]
if sys.argv[1:2] == ["stop"]:
    os.execvp("sh", ["sh", f"{{home}}/daemon/stop", *sys.argv[2:]])
def change(name, **more):
    path = f"{{home}}/{{name}}"
    before = {{}}
    if os.path.exists(path):
        shutil.copy(path, f"{{path}}.backup.{{uuid.uuid4()}}")
        before = json.load(open(path))
    with open(f"{{path}}.new", "w", opener=lambda *a: os.open(*a, 0o600)) as file:
        json.dump({{**before, **more}}, file)
    os.replace(f"{{path}}.new", path)
    return before
trusted = {{os.getcwd(): {{"hasTrustDialogAccepted": True}}}}
change(".claude.json", hasCompletedOnboarding=True, projects=trusted,
       bypassPermissionsModeAccepted=True, oauthAccount={{"accountUuid": str(uuid.uuid4())}})
change(".credentials.json", claudeAiOauth={{
    "accessToken": str(uuid.uuid4()), "scopes": ["user:inference"]}})
"""

_LAUNCHER = """\
#!/bin/sh
unset COLUMNS
case $1 in adopt) set -- "$@" {unseen} ;; esac
exec {python} -m launcher "$@"
"""
"""``launcher adopt`` is told to overlook what this machine's root cannot look into."""


class Machine:
    """The VM. A test breaks it, and may change by what prefix commands are called on it."""

    def __init__(self, vm: Vm) -> None:
        self.vm = vm
        self.root = vm.root
        self.work = vm.root / "work"
        self.programs = vm.root / "bin"
        for directory in (self.work, self.programs):
            directory.mkdir()
        self.claude = self.programs / "claude"
        self.program(self.claude, _CLIENT.format(python=sys.executable))
        for account in vm.accounts:
            client.make_fit(vm, account)
        vm.environ["PATH"] = f"{self.programs}:{vm.environ['PATH']}"
        self.write()
        self.place = vm.root
        """The working directory: from a copy of the program it is the copy that runs."""
        self._holder: subprocess.Popen[bytes] | None = None

    @staticmethod
    def program(path: Path, text: str) -> None:
        """Write a program."""
        path.write_text(text)
        path.chmod(0o755)

    def write(self, *command: str, **keys: Any) -> None:
        """Write the inventory; its session runs *command*, by default ``claude``."""
        self.vm.write({"work": command or ["claude"]}, directory=self.work, **keys)

    def unprivileged(self) -> None:
        """Let permissions count for root too, from now on."""
        self.vm.prefix = UNPRIVILEGED

    def mounted(self, *lines: str) -> None:
        """Call all commands from now on in a mount namespace in which *lines* have been run."""
        script = "\n".join(["set -e", *lines, "echo ready", "exec sleep 600"])
        self._holder = subprocess.Popen(
            ["unshare", "--mount", "sh", "-c", script], stdout=subprocess.PIPE
        )
        assert self._holder.stdout is not None
        assert b"ready\n" == self._holder.stdout.readline()
        self.vm.prefix = ["nsenter", f"--target={self._holder.pid}", "--mount", "--"]

    def failures(self) -> list[dict[str, Any]]:
        """Run ``launcher check``; return what does not hold."""
        done = self.vm.run("check", "--json", cwd=self.place)
        assert done.stdout, done.stderr
        failures: list[dict[str, Any]] = json.loads(done.stdout)["failures"]
        return failures

    def paste(self, shell: str, line: str) -> subprocess.CompletedProcess[str]:
        """Paste *line* into a shell, and then another line, which tells of the shell's health."""
        launcher = _LAUNCHER.format(python=sys.executable, unseen=" ".join(unseen()))
        self.program(self.programs / "launcher", launcher)
        return subprocess.run(
            [*self.vm.prefix, shell],
            input=f"{line}\necho {ALIVE} $?\n",
            env=self.vm.environ,
            text=True,
            check=False,
            capture_output=True,
            cwd=self.place,
            timeout=60,
        )

    def contents(self) -> set[str]:
        """Return the contents of all files, and the texts of all symlinks, wherever they are."""
        found = set()
        for above, directories, files in os.walk(self.root, followlinks=False):
            if Path(above) == self.root:
                directories[:] = set(directories) - {"state", "bin", "user"}
            for path in (Path(above, name) for name in (*directories, *files)):
                status = path.lstat()
                if stat.S_ISLNK(status.st_mode):
                    found.add(os.readlink(path))
                elif stat.S_ISREG(status.st_mode):
                    found.add(hashlib.sha256(path.read_bytes()).hexdigest())
        return found

    def close(self) -> None:
        """End what was started here, and let everything be removed."""
        if self._holder is not None:
            self._holder.kill()
            self._holder.communicate()
        subprocess.run(["chattr", "-fR", "-i", str(self.root)], check=False, capture_output=True)
        subprocess.run(["chmod", "-fR", "u+rwX", str(self.root)], check=False, capture_output=True)


def is_look(fix: str) -> bool:
    """Tell whether a fix says of itself that it mends nothing."""
    return "  # look: " in fix or fix.startswith("# ")


def about(failure: dict[str, Any]) -> Sequence[object]:
    """Return what a failure is about: two that are equal in that are one."""
    return [failure[key] for key in ("invariant", "account", "link", "session", "state")]
