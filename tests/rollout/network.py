"""A network that leads nowhere: a bridge in a namespace of its own, and a namespace a machine.

Its addresses exist in these namespaces only. The control machine's programs run in the bridge's.
"""

from __future__ import annotations

import os
import signal
import subprocess
from contextlib import suppress
from pathlib import Path

from tests.vm import wait_until

_PREFIX = "claude-failover-test-"
_NAMESPACES = Path("/run/netns")
_RANGE = "10.77.0"
_SECONDS = 30


class Network:
    """The namespaces of one test; :meth:`close` removes them, with what still runs in the hub."""

    def __init__(self) -> None:
        _forget_the_dead()
        self._hub = f"{_PREFIX}{os.getpid()}-hub"
        self._names = [self._hub]
        _ip("netns", "add", self._hub)
        self._in_hub("link", "set", "lo", "up")
        self._in_hub("link", "add", "bridge", "type", "bridge")
        self._in_hub("address", "add", f"{_RANGE}.1/24", "dev", "bridge")
        self._in_hub("link", "set", "bridge", "up")

    @property
    def enter(self) -> list[str]:
        """What a command is called by to run in the hub."""
        return ["ip", "netns", "exec", self._hub]

    def join(self, number: int) -> str:
        """Make the namespace of machine *number*; return the option of nspawn that enters it."""
        name = f"{_PREFIX}{os.getpid()}-{number}"
        self._names.append(name)
        _ip("netns", "add", name)
        port = f"port{number}"
        self._in_hub("link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", name)
        self._in_hub("link", "set", port, "master", "bridge", "up")
        _ip("-n", name, "link", "set", "lo", "up")
        _ip("-n", name, "address", "add", f"{self.address(number)}/24", "dev", "eth0")
        _ip("-n", name, "link", "set", "eth0", "up")
        return f"--network-namespace-path={_NAMESPACES / name}"

    def address(self, number: int) -> str:
        """Return the address of machine *number*, whether it is there or not."""
        return f"{_RANGE}.{10 + number}"

    def end_all(self) -> None:
        """End everything in the hub at once, as the death of the control machine does."""

        def ended() -> bool:
            pids = _ip("netns", "pids", self._hub).split()
            for pid in pids:
                with suppress(ProcessLookupError):
                    os.kill(int(pid), signal.SIGKILL)
            return not pids

        wait_until(ended, "the control machine's processes end")

    def close(self) -> None:
        """Remove the namespaces."""
        self.end_all()
        for name in self._names:
            _ip("netns", "delete", name)

    def _in_hub(self, *arguments: str) -> None:
        _ip("-n", self._hub, *arguments)


def _ip(*arguments: str) -> str:
    done = subprocess.run(
        ["ip", *arguments], capture_output=True, text=True, timeout=_SECONDS, check=False
    )
    if done.returncode != 0:
        raise RuntimeError(f"ip {' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout


def _forget_the_dead() -> None:
    """Remove the namespaces of runs that were killed."""
    for namespace in _NAMESPACES.glob(f"{_PREFIX}*"):
        pid = namespace.name.removeprefix(_PREFIX).partition("-")[0]
        if not Path("/proc", pid).exists():
            _ip("netns", "delete", namespace.name)


def unusable() -> str | None:
    """Return why no network can be made here, or None where one can."""
    try:
        Network().close()
    except (RuntimeError, OSError) as error:
        return str(error)
    return None
