"""A healthy VM that is being built: its files, its user, and the namespaces that it lives in."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

import pytest

from tests.vm import CHECKOUT, Vm, pids, wait_until

UID = 54321
"""A user that no machine has."""
_READY = "healthy-vm-is-ready"


class World:
    """A VM, and how the launcher is called in it. Builders change it, then :meth:`enter`."""

    def __init__(self) -> None:
        self.base = Path(tempfile.mkdtemp(prefix="healthy-", dir="/tmp"))
        self.base.chmod(0o755)  # every user can reach it, unlike pytest's own
        self.beside: list[Path] = []
        """Empty directories elsewhere on the machine, which only this world has made."""
        self.session = {"work": ["sleep", "600"]}
        self.move(self.base / "vm")
        self._holder: subprocess.Popen[bytes] | None = None

    def write(self, **keys: object) -> None:
        """Write the inventory, with the session and these keys under ``[launcher]``."""
        self.vm.write(self.session, **keys)  # type: ignore[arg-type]  # passed through

    def move(self, root: Path) -> None:
        """Build the VM elsewhere."""
        root.mkdir(parents=True, mode=0o755)
        self.vm = Vm(root).link()
        self.write()

    def scratch(self) -> Path:
        """Return a new directory beside the VM."""
        return Path(tempfile.mkdtemp(dir=self.base))

    def enter(
        self,
        *lines: str,
        uid: int | None = None,
        gid: int | None = None,
        name: str | None = "healthy",
        shell: str = "/bin/sh",
        umask: str = "022",
        unshare: str = "",
    ) -> None:
        """Have the launcher run in a mount namespace in which *lines* of sh have been run as root.

        With *uid* it runs as that user and *gid*, its private group if that is None. It is called
        *name*, or nobody knows it. *unshare* are more options, which the user itself uses.
        """
        if os.geteuid() != 0:
            pytest.skip("only root can mount, and become another user")
        script = ["set -e", "mount --make-rprivate /", *lines]
        become: list[str] = []
        if uid is not None:
            gid = uid if gid is None else gid
            script += _opened_up(self.base)
            script += self._known(uid, gid, name, shell) if name else []
            become = ["setpriv", f"--reuid={uid}", f"--regid={gid}", "--clear-groups"]
            subprocess.run(["chown", "-hR", f"{uid}:{gid}", self.vm.root], check=True)
            self.vm.environ |= {"USER": name or str(uid), "LOGNAME": name or str(uid)}
        inner = ["unshare", *unshare.split(), "--"] if unshare else []
        last = [*become, *inner, "sh", "-c", f"echo {_READY}; exec sleep infinity"]
        script.append(f"exec {shlex.join(last)}")
        self._holder = subprocess.Popen(
            ["unshare", "--mount", "sh", "-c", "\n".join(script)], stdout=subprocess.PIPE
        )
        assert self._holder.stdout is not None
        assert _READY == self._holder.stdout.readline().decode().strip()
        inside = self._inside(self._holder.pid)
        nsenter = ["nsenter", f"--target={inside}", "--mount"]
        if unshare:
            nsenter += ["--pid", *(["--user"] if "--user" in unshare else [])]
            become = []
        masked = ["sh", "-c", f'umask {umask}; exec "$@"', "sh"]
        self.vm.prefix = [*nsenter, "--", *become, *masked]

    def _known(self, uid: int, gid: int, name: str, shell: str) -> list[str]:
        """Give user and group a name in the namespace."""
        lines = []
        for file, line in (
            ("passwd", f"{name}:x:{uid}:{gid}::{self.vm.user_home}:{shell}"),
            ("group", f"{name}:x:{gid}:"),
        ):
            copy = self.base / file
            copy.write_text(Path("/etc", file).read_text().rstrip("\n") + f"\n{line}\n")
            copy.chmod(0o644)
            lines.append(f"mount --bind {copy} /etc/{file}")
        return lines

    @staticmethod
    def _inside(holder: int) -> int:
        """Return the process that lives in the innermost namespaces."""
        found: list[int] = []

        def is_there() -> bool:
            found[:] = [pid for pid in pids() if _is_sleep(pid) and holder in _line(pid)]
            return bool(found)

        wait_until(is_there, "the namespaces")
        return found[0]

    def close(self) -> None:
        """End everything."""
        self.vm.close()
        if self._holder is not None:
            for pid in [pid for pid in pids() if self._holder.pid in _line(pid)]:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            self._holder.kill()
            self._holder.communicate()
        shutil.rmtree(self.base)
        for path in self.beside:
            path.rmdir()


def acl(path: Path, *entries: tuple[int, int, int], default: bool = False) -> None:
    """Set an access list of (tag, permissions, id), as setfacl(1) would (acl(5), linux/xattr.h)."""
    content = struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)
    kind = "default" if default else "access"
    try:
        os.setxattr(path, f"system.posix_acl_{kind}", content)
    except OSError as error:
        pytest.skip(f"no access lists here: {error.strerror}")


def _opened_up(aside: Path) -> list[str]:
    """Return what lets every user reach the interpreter and the checkout in the namespace."""
    paths = sorted({Path(sys.base_prefix), Path(sys.prefix), CHECKOUT})
    closed: dict[Path, Path] = {}
    for path in paths:
        for above in reversed(path.parents):
            if not above.stat().st_mode & 0o001:
                closed[path] = above
                break
    lines, mounts = [], []
    for number, path in enumerate(closed):
        (aside / f"aside{number}").mkdir()
        lines.append(f"mount --bind {path} {aside}/aside{number}")
        mounts.append(f"mkdir -p {path}; mount --bind {aside}/aside{number} {path}")
    covers = [f"mount -t tmpfs -o mode=755 none {above}" for above in sorted(set(closed.values()))]
    return [*lines, *covers, *mounts]


def _is_sleep(pid: int) -> bool:
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes() == b"sleep\0infinity\0"
    return False


def _line(pid: int) -> list[int]:
    """Return *pid*, its parent, and so on."""
    found = [pid]
    with suppress(OSError):
        while found[-1] > 1:
            fields = Path(f"/proc/{found[-1]}/stat").read_text().rpartition(")")[2].split()
            found.append(int(fields[1]))
    return found
