"""A user's manager of systemd for the tests, on a machine that systemd did not boot."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from launcher.manager import Manager
from tests.groups import entering, groups, remove
from tests.vm import wait_until

_SYSTEMD = "/lib/systemd/systemd"
# It looks for what says that systemd booted the machine; here that is in a namespace of its own.
_RUN = """\
mount -t tmpfs tmpfs /run/systemd && mkdir /run/systemd/system && exec "$0" --user
"""


def why_none() -> str | None:
    """Say why there can be no manager here, or return None."""
    if os.geteuid() != 0:
        return "a manager of systemd's is started by root only"
    if not os.path.exists(_SYSTEMD) or shutil.which("systemd-run") is None:
        return "systemd is not installed"
    return None


@contextmanager
def manager_of_its_own(directory: Path) -> Iterator[Manager]:
    """Run a user's manager whose socket is below *directory*; all that it runs ends with it."""
    own = groups(f"tests-{os.getpid()}")
    environ = {
        "PATH": os.environ["PATH"],
        "HOME": str(directory),
        "XDG_RUNTIME_DIR": str(directory),
        "SYSTEMD_LOG_TARGET": "console",
    }
    log = (directory / "log").open("wb")
    command = entering(own, "unshare", "--mount", "--cgroup", "sh", "-ec", _RUN, _SYSTEMD)
    process = subprocess.Popen(
        command, env=environ, cwd="/", stdin=subprocess.DEVNULL, stdout=log, stderr=log
    )
    manager = Manager(str(directory), ("--user",), os.environ["PATH"])
    try:
        wait_until(manager.is_there, f"the manager answers; its log: {directory}/log")
        (directory / "systemd" / "system").mkdir()  # for systemctl: it was booted
        yield manager
    finally:
        log.close()
        process.send_signal(signal.SIGRTMIN + 24)  # exit at once: systemd(1)
        with suppress(subprocess.TimeoutExpired):
            process.wait(10)
        process.kill()
        process.wait()
        remove(own)


def as_the_system_s(manager: Manager) -> list[str]:
    """Return what a command is called by for which *manager* is the system's."""
    place = 'mount --bind "$0" /run/systemd && exec "$@"'
    return ["unshare", "--mount", "sh", "-c", place, f"{manager.directory}/systemd"]
