"""Control groups of a test's own: two managers of systemd that share one take away each other's."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

_TOP = Path("/sys/fs/cgroup")
_ENTER = """\
until [ "$1" = -- ]; do mkdir -p "$1"; echo $$ > "$1/cgroup.procs"; shift; done
shift
exec "$@"
"""


def groups(name: str) -> list[Path]:
    """Return the group *name* in each hierarchy that systemd uses: two, or the unified one."""
    tops = [_TOP / one for one in ("systemd", "unified") if (_TOP / one).is_dir()]
    return [top / name for top in tops or [_TOP]]


def entering(found: Iterable[Path], *command: str) -> list[str]:
    """Return *command* as what makes the groups, enters them, and becomes the command."""
    return ["sh", "-ec", _ENTER, "sh", *map(str, found), "--", *command]


def remove(found: Iterable[Path]) -> None:
    """End what is left in groups, and remove them."""
    for group in found:
        for procs in sorted(group.rglob("cgroup.procs"), reverse=True):
            with suppress(OSError):  # it was removed since
                for pid in procs.read_text().split():
                    with suppress(ProcessLookupError):
                        os.kill(int(pid), signal.SIGKILL)
        for directory in sorted([group, *group.rglob("*/")], reverse=True):
            if directory.is_dir():
                with suppress(OSError):
                    directory.rmdir()
