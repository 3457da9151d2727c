"""Where a process runs: the machine, its boot, and the pid namespace that its pid is of."""

from __future__ import annotations

import os
from typing import Any, NamedTuple, Self

from launcher.processes import boot_id, identify


class Place(NamedTuple):
    """Where a process runs: the machine, its boot, and the namespace that its pid is of.

    ``host`` is for people. Each of the others is None where it is not known.
    """

    host: str
    machine: str | None
    boot: str | None
    namespace: str | None

    @classmethod
    def here(cls) -> Self:
        """Return the place of this process."""
        return cls(os.uname().nodename, machine_id(), boot_id(), pid_namespace())

    @classmethod
    def of(cls, record: dict[str, Any]) -> Self:
        """Return the place that a *record* names; what is no text there is not known."""
        machine, boot, namespace = (
            value if isinstance(value, str) else None
            for value in (record.get(key) for key in ("machine_id", "boot_id", "pid_namespace"))
        )
        return cls(str(record.get("host")), machine, boot, namespace)

    def is_another_machine(self, other: Place) -> bool:
        """Tell whether *other* is another machine, by their ids.

        Without these the host names count: a host can be renamed.
        """
        if self.machine is not None and other.machine is not None:
            return self.machine != other.machine
        return self.host != other.host

    def shares_pids(self, other: Place) -> bool:
        """Tell whether a pid means the same process in both, as far as is known."""
        return self.boot == other.boot and is_same_namespace(self.namespace, other.namespace)

    def as_record(self) -> dict[str, Any]:
        """Return what a record keeps of it."""
        return {
            "host": self.host,
            "machine_id": self.machine,
            "boot_id": self.boot,
            "pid_namespace": self.namespace,
        }


def machine_id() -> str | None:
    """Return the id of this installation of the system (machine-id(5)), or None."""
    try:
        with open("/etc/machine-id", encoding="ascii") as file:
            return file.read(64).strip() or None
    except (OSError, ValueError):
        return None


def pid_namespace() -> str | None:
    """Return what tells this process's pid namespace from any other of this boot, or None.

    The kernel gives the number of a namespace that has ended to another one. So the start time of
    the namespace's first process stands behind it, where that may be read.
    """
    try:
        number = os.stat("/proc/self/ns/pid").st_ino
    except OSError:
        return None
    first = identify(1)
    return f"{number}:{first.start if first is not None else ''}"


def is_same_namespace(one: str | None, other: str | None) -> bool:
    """Tell whether two of :func:`pid_namespace` are one; what is not known counts as the same."""
    if one is None or other is None:
        return True
    number, _, start = one.partition(":")
    other_number, _, other_start = other.partition(":")
    return number == other_number and (not start or not other_start or start == other_start)
