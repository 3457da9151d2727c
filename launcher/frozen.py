"""Whether a process is frozen with its control group: by ``systemctl freeze``, say, or a container.

In the unified hierarchy such a process looks asleep (cgroups(7), "cgroup.freeze"); in that of
version 1 it looks as if it waited for a disk.
"""

from __future__ import annotations

import os
import re

_OCTAL = re.compile(r"\\([0-7]{3})")


def is_frozen(pid: int) -> bool:
    """Tell whether a control group of the process *pid*, or one above it, is frozen.

    No, where that cannot be seen: in many containers no hierarchy is mounted.
    """
    return any(
        _holds(f"{directory}/cgroup.events", "frozen 1")
        or _holds(f"{directory}/freezer.state", "FROZEN", "FREEZING")
        for directory in _groups(pid)
    )


def _groups(pid: int) -> list[str]:
    """Return the directories of the groups of *pid* in the hierarchies that can freeze it."""
    mounts = _mounts()
    found = []
    for line in _lines(f"/proc/{pid}/cgroup"):
        _, controllers, path = (*line.split(":", 2), "", "")[:3]
        kind = _kind(not controllers, controllers)
        for of, root, place in mounts if kind is not None else ():
            top = root.rstrip("/")
            if of == kind and f"{path}/".startswith(f"{top}/"):
                found.append(os.path.normpath(f"{place}/{path.removeprefix(top)}"))
    return found


def _mounts() -> list[tuple[str, str, str]]:
    """Return where hierarchies that can freeze are mounted: kind, which group of it, the path."""
    found = []
    for line in _lines("/proc/self/mountinfo"):
        before, _, after = line.partition(" - ")
        fields, (system, _, options) = before.split(" "), (*after.split(" "), "", "", "")[:3]
        kind = _kind(system == "cgroup2", options if system == "cgroup" else "")
        if kind is not None:
            root, place = (_OCTAL.sub(lambda one: chr(int(one[1], 8)), one) for one in fields[3:5])
            found.append((kind, root, place))
    return found


def _kind(is_unified: bool, controllers: str) -> str | None:
    """Return the name of a hierarchy that can freeze, by its *controllers*; None for another."""
    if is_unified:
        return "unified"
    return "freezer" if "freezer" in controllers.split(",") else None


def _holds(path: str, *wanted: str) -> bool:
    return any(line in wanted for line in _lines(path))


def _lines(path: str) -> list[str]:
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            return file.read().splitlines()
    except OSError:
        return []
