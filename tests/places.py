"""Other places to call a launcher from: a container, another host, a shell without /proc.

Each shares the file system of the tests, ``/tmp`` with the sockets of tmux included, and nothing
else. Only root can make them.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from launcher.processes import identify
from tests.vm import Vm, wait_until

NEEDS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root makes namespaces like these")

_OWN_PROC = ["unshare", "--pid", "--fork", "--mount", "--uts", "--mount-proc", "--kill-child"]
_STAY = """\
set -e
hostname "$1"
for file in machine-id boot_id; do
    test ! -e "$2/$file" || case $file in
        machine-id) mount --bind "$2/$file" /etc/machine-id ;;
        boot_id) mount --bind "$2/$file" /proc/sys/kernel/random/boot_id ;;
    esac
done
: > "$2/ready"
exec sleep 600
"""


class Place:
    """A pid namespace with a ``/proc`` of its own, which ends with all that runs in it."""

    def __init__(self, directory: Path, host: str, *, another_host: bool) -> None:
        """Make it below *directory*. *another_host* has a machine id and a boot of its own."""
        self.host = host
        directory.mkdir()
        if another_host:
            (directory / "machine-id").write_text(f"{host.encode().hex():0<32}\n")
            (directory / "boot_id").write_text(f"boot-of-{host}\n")
        command = [*_OWN_PROC, "sh", "-c", _STAY, "stay", host, str(directory)]
        self._process = subprocess.Popen(command, start_new_session=True)
        wait_until((directory / "ready").exists, f"the place {host} is there")
        (self._pid,) = _children(self._process.pid)

    @property
    def prefix(self) -> list[str]:
        """What a command is called by that runs there."""
        return ["nsenter", "--target", str(self._pid), "--pid", "--mount", "--uts", "--"]

    def end(self) -> None:
        """End all that runs there, as when a container is killed or a host loses its power."""
        if self._process.poll() is not None:
            return
        first = identify(self._pid)
        os.kill(self._pid, signal.SIGKILL)
        self._process.wait()
        wait_until(lambda: first is None or not first.is_alive(), f"the place {self.host} ends")


def _children(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@contextmanager
def place(vm: Vm, host: str, *, another_host: bool = False) -> Iterator[Place]:
    """Make a place beside *vm*, and end it."""
    made = Place(vm.root / f"place-{host}", host, another_host=another_host)
    try:
        yield made
    finally:
        made.end()


def without_proc(*, empty: bool) -> list[str]:
    """Return what a command is called by where ``/proc`` is not mounted, or is *empty*."""
    hide = "mount -t tmpfs none /proc" if empty else "umount -l /proc"
    return ["unshare", "--mount", "sh", "-c", f'{hide}; exec "$@"', "sh"]


def managed_settings(vm: Vm, **files: object) -> list[str]:
    """Return what a command is called by that has these managed settings of Claude Code's.

    *files* are the contents by name: ``base`` is ``managed-settings.json``, any other a drop-in; a
    text is written as it is. The command has an ``/etc`` of its own.
    """
    place = managed_directory(vm)
    (place / "managed-settings.d").mkdir(parents=True)
    for name, content in files.items():
        path = "managed-settings.json" if name == "base" else f"managed-settings.d/{name}.json"
        (place / path).write_text(content if isinstance(content, str) else json.dumps(content))
    line = 'cp -a /etc "$1" && rm -rf "$1/claude-code" && cp -r "$2" "$1/claude-code"'
    script = f'etc=$(mktemp -d "$1.XXXXXX") && set -- "$etc/etc" "$2" "$@" && {line}'
    script += ' && mount --bind "$1" /etc && shift 4 && exec "$@"'
    return ["unshare", "--mount", "sh", "-c", script, "sh", str(vm.root / "etc"), str(place)]


def managed_directory(vm: Vm) -> Path:
    """Return where :func:`managed_settings` has written them, outside of that ``/etc``."""
    return vm.root / "managed"
