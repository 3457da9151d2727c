"""Programs that lead sessions (setsid(2)) of their own, for tests that watch and end them."""

from __future__ import annotations

import os
import signal
import subprocess
from contextlib import suppress
from pathlib import Path

from launcher.processes import Process, identify
from tests.vm import wait_until


class Leaders:
    """Starts programs that lead sessions of their own; all of them are ended with the test."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.started: list[subprocess.Popen[bytes]] = []

    def run(self, *argv: str) -> Process:
        child = subprocess.Popen(argv, cwd=self.directory, start_new_session=True)
        self.started.append(child)
        found = identify(child.pid)
        assert found is not None
        return found

    def script(self, script: str) -> Process:
        """Run a shell script; return once it has made the file ``ready``."""
        ready = self.directory / "ready"
        process = self.run("sh", "-c", script)
        wait_until(ready.exists, "the script is ready")
        ready.unlink()
        return process

    def pid(self, name: str) -> int:
        """Return the pid that a script wrote down."""
        return int((self.directory / name).read_text())

    def close(self) -> None:
        """End whatever still runs of what was started."""
        for child in self.started:
            for stat in Path("/proc").glob("[0-9]*/stat"):
                with suppress(OSError):
                    fields = stat.read_text(errors="replace").rpartition(")")[2].split()
                    if fields[3] == str(child.pid):
                        os.kill(int(stat.parent.name), signal.SIGKILL)
            child.wait()


def is_gone(pid: int) -> bool:
    found = identify(pid)
    return found is None or not found.is_alive()
