"""A machine that boots: Debian's own systemd as PID 1, in a container of systemd-nspawn."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any

from launcher.processes import identify
from tests.boot.tree import LEADER
from tests.groups import entering, groups, remove
from tests.vm import wait_until

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_BOOT_SECONDS = 60.0
_COMMAND_SECONDS = 120.0
_ASK_AGAIN = 10.0
_REBOOT = 133
"""How nspawn ends to be started again, where no unit of its own is to be kept (its manual)."""


@dataclass(frozen=True, slots=True)
class Running:
    """A process of the machine, as its own /proc shows it."""

    pid: int
    cgroup: str
    command: tuple[str, ...]
    environ: Mapping[str, str]

    @property
    def unit(self) -> str:
        """The innermost unit that the process belongs to."""
        parts = [part for part in self.cgroup.split("/") if part.endswith((".service", ".scope"))]
        return parts[-1] if parts else ""


class Machine:
    """A booted tree. Commands run inside; files are read and written from outside."""

    def __init__(
        self,
        root: Path,
        *,
        binds: Mapping[Path, str] | None = None,
        network: str = "--private-network",
    ) -> None:
        """Take the mounted tree, what of this machine is shown in it, read-only, and its network.

        *network* is an option of systemd-nspawn; by default there is none.
        """
        self.root = root
        self._network = network
        self._binds = dict(binds or {})
        self._groups = groups(root.parent.name)
        self._nspawn: subprocess.Popen[bytes] | None = None
        self._leader = 0
        self._options: tuple[str, ...] = ()
        self.console = root.parent / "console"

    def boot(self, *options: str) -> Machine:
        """Boot, and wait until every job of the boot is done, whether well or not."""
        self._options = options
        # nspawn ends with whoever runs the tests; a PID 1 that is left is ended by the next run.
        command = [
            "setpriv",
            "--pdeathsig=KILL",
            "systemd-nspawn",
            "--quiet",
            "--register=no",
            "--keep-unit",
            "--boot",
        ]
        command += [self._network, "--bind=/dev/fuse", "-D", str(self.root)]
        command += ["--hostname=vm", "--resolv-conf=off", "--timezone=off", *options]
        command += [f"--bind-ro={path}:{inside}" for path, inside in self._binds.items()]
        # Debian 12 boots with the unified hierarchy; nspawn would mirror this machine's.
        environ = {**os.environ, "UNIFIED_CGROUP_HIERARCHY": "1"}
        with self.console.open("ab") as console:
            self._nspawn = subprocess.Popen(
                entering(self._groups, *command),
                env=environ,
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._await_boot()
        return self

    def reboot(self) -> None:
        """Reboot as an operator does, and wait until the next boot is done."""
        assert self._nspawn is not None
        ended, until = None, monotonic() + _BOOT_SECONDS
        while ended is None and monotonic() < until:
            # systemd refuses while jobs of the boot are still in its queue.
            self.run("systemctl", "reboot", check=False)
            with suppress(subprocess.TimeoutExpired):
                ended = self._nspawn.wait(_ASK_AGAIN)
        assert ended == _REBOOT, self._said(f"nspawn ends with {ended}")
        self.boot(*self._options)

    def poweroff(self) -> None:
        """Shut down in good order, or at once if that takes too long."""
        if self._nspawn is None:
            return
        if self._nspawn.poll() is None:
            self.run("systemctl", "poweroff", check=False)
            with suppress(subprocess.TimeoutExpired):
                self._nspawn.wait(30)
        self.kill()

    def kill(self) -> None:
        """Take the power away: the kernel ends all that a killed PID 1 leaves."""
        if self._nspawn is None:
            return
        with suppress(ProcessLookupError):
            if self._leader and self._nspawn.poll() is None:
                os.kill(self._leader, signal.SIGKILL)
            self._nspawn.kill()
        self._nspawn.wait(30)
        remove(self._groups)
        self._nspawn, self._leader = None, 0

    def run(
        self, *command: str, check: bool = True, stdin: str = "", seconds: float = _COMMAND_SECONDS
    ) -> subprocess.CompletedProcess[str]:
        """Run a command of an administrator's inside, outside of every unit."""
        enter = ["nsenter", "--target", str(self._leader), "--all", "--wdns=/"]
        done = subprocess.run(
            [*enter, "env", "-i", f"PATH={_PATH}", "HOME=/root", "LANG=C.UTF-8", *command],
            input=stdin,
            text=True,
            capture_output=True,
            timeout=seconds,
            check=False,
        )
        if check and done.returncode != 0:
            said = f"{done.stdout}{done.stderr}"
            raise AssertionError(f"{' '.join(command)}: {done.returncode}\n{said}")
        return done

    def shell(self, line: str, *, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a line as root's shell would after a login, in a unit of its own."""
        run = ["systemd-run", "--quiet", "--collect", "--pipe", "--wait"]
        run += ["--working-directory=/root", "--setenv=HOME=/root", "--setenv=LANG=C.UTF-8"]
        return self.run(*run, f"--setenv=PATH={_PATH}", "bash", "-c", line, check=check)

    def path(self, inside: str) -> Path:
        """Return where a file of the running machine is seen from outside, tmpfs included."""
        return Path(f"/proc/{self._leader}/root") / inside.lstrip("/")

    def write(self, inside: str, text: str, *, mode: int = 0o644, owner: int = 0) -> None:
        """Write a file of the machine's, with the directories to it."""
        path = (self.path if self._leader else self._lying)(inside)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(mode)
        os.chown(path, owner, owner)

    def link(self, inside: str, target: str) -> None:
        """Make a symlink of the machine's, in place of what may be there."""
        link = (self.path if self._leader else self._lying)(inside)
        link.unlink(missing_ok=True)
        link.symlink_to(target)

    def _lying(self, inside: str) -> Path:
        return self.root / inside.lstrip("/")

    def journal(self, unit: str, *more: str) -> list[dict[str, Any]]:
        """Return the journal's entries about *unit* since the boot, as ``journalctl`` has them."""
        self.run("journalctl", "--sync")
        options = ["-b", "-o", "json", "--all", "--no-pager", "-u", unit, *more]
        return [json.loads(line) for line in self.run("journalctl", *options).stdout.splitlines()]

    @property
    def boot_id(self) -> str:
        """The kernel's id of this boot, as the machine sees it."""
        return self.run("cat", "/proc/sys/kernel/random/boot_id").stdout.strip()

    def shown(self, unit: str, name: str, *manager: str) -> str:
        """Return one property of a unit, as ``systemctl show`` prints it."""
        return self.run("systemctl", *manager, "show", "-P", name, unit).stdout.strip()

    def processes(self) -> list[Running]:
        """Return everything that runs in the machine, kernel threads and zombies left out."""
        return list(self._processes())

    def _processes(self) -> Iterator[Running]:
        space = os.readlink(f"/proc/{self._leader}/ns/pid")
        top = _cgroup(Path(f"/proc/{self._leader}")).removesuffix("/init.scope")
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            with suppress(OSError):
                if os.readlink(entry / "ns/pid") != space:
                    continue
                command = (entry / "cmdline").read_bytes().split(b"\0")[:-1]
                if not command:
                    continue
                yield Running(
                    pid=int(_status(entry, "NSpid").split()[-1]),
                    cgroup=_cgroup(entry).removeprefix(top),
                    command=tuple(word.decode(errors="replace") for word in command),
                    environ=_environ(entry),
                )

    def _await_boot(self) -> None:
        wait_until(self._found_leader, self._said("PID 1 runs"), _BOOT_SECONDS)
        wait_until(self._answers, self._said("systemd answers"), _BOOT_SECONDS)
        state = self.run("systemctl", "is-system-running", "--wait", check=False).stdout.strip()
        assert state in ("running", "degraded"), self._said(state)

    def _found_leader(self) -> bool:
        """Note the container's PID 1: the child of nspawn that has that pid inside."""
        assert self._nspawn is not None
        assert self._nspawn.poll() is None, self._said("it boots")
        children = Path(f"/proc/{self._nspawn.pid}/task/{self._nspawn.pid}/children")
        for child in children.read_text().split():
            with suppress(OSError):
                inside = _status(Path(f"/proc/{child}"), "NSpid").split()
                if len(inside) > 1 and inside[-1] == "1":
                    self._leader = int(child)
                    self._note_leader()
                    return True
        return False

    def _note_leader(self) -> None:
        """Write down who PID 1 is: it outlives an nspawn that is killed (see tests.boot.tree)."""
        process = identify(self._leader)
        assert process is not None
        (self.root.parent / LEADER).write_text(f"{process.pid} {process.start}\n")

    def _answers(self) -> bool:
        answer = self.run("systemctl", "is-system-running", check=False, seconds=10).stdout.strip()
        return answer in ("starting", "running", "degraded")

    def _said(self, what: str) -> str:
        text = self.console.read_text(errors="replace") if self.console.exists() else ""
        return f"{what}; the console's end:\n{text[-2000:]}"


def _cgroup(process: Path) -> str:
    """Return a process's place in the unified hierarchy (cgroups(7))."""
    for line in (process / "cgroup").read_text().splitlines():
        if line.startswith("0::"):
            return line.removeprefix("0::")
    return ""


def _status(process: Path, field: str) -> str:
    for line in (process / "status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return line.partition(":")[2]
    raise OSError(f"{process}: no {field}")


def _environ(process: Path) -> dict[str, str]:
    words = (process / "environ").read_bytes().decode(errors="replace").split("\0")
    return dict(word.split("=", 1) for word in words if "=" in word)
