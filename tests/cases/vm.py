"""What the cases share: a VM with one session ``work``, its client, and how a shell sees a verb.

The client is the stand-in of ``tests/interleavings``: it holds a lock from its start to its end,
so that a second writer is noticed however short it lives.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

from invariants.inventory import load
from launcher.conversations import first_id
from tests import client
from tests.interleavings import writer
from tests.vm import Vm, wait_until


class Work:
    """The session ``work`` of one VM, under ``primary``, in a directory of its own."""

    def __init__(self, vm: Vm, backend: str = "tmux", **launcher: object) -> None:
        self.vm = vm
        self.backend = backend
        self.program = writer.install(vm)
        self.directory = vm.root / "work"
        self.directory.mkdir()
        self.write(**launcher)

    def write(self, **launcher: object) -> None:
        """Write the inventory, for the session's directory as it is now."""
        self.vm.write(
            {"work": [str(self.program)]},
            backend=self.backend,
            directory=self.directory,
            timeout=60,
            **launcher,  # type: ignore[arg-type]  # passed through
        )

    @property
    def conversation(self) -> str:
        """The id of the session's first conversation in its directory."""
        (session,) = load(str(self.vm.inventory)).sessions
        return first_id(session)

    @property
    def transcripts(self) -> list[Path]:
        """Every transcript there is."""
        return sorted(self.vm.target("projects").glob("*/*.jsonl"))

    def up(self) -> int:
        """Start the session, and wait until its client is at its prompt; return the pid."""
        done = self.vm.run("up")
        assert 0 == done.returncode, said(done)
        wait_until(lambda: self.pids and self._is_noted(self.pids[0]), "the client is there")
        return self.pids[0]

    def down(self) -> None:
        """Stop the session."""
        done = self.vm.run("down")
        assert 0 == done.returncode, said(done)
        assert [] == self.pids

    @property
    def pids(self) -> list[int]:
        """The clients that run, of any conversation, seen from outside of all namespaces."""
        return [pid for every in writer.live(self.vm).values() for pid, _ in every]

    @property
    def homes(self) -> list[str]:
        """The accounts under which clients run."""
        live = writer.live(self.vm).values()
        return [home.removeprefix("home-") for every in live for _, home in every]

    def _is_noted(self, pid: int) -> bool:
        return any(pid in client.notes(self.vm, account) for account in self.vm.accounts)

    def assert_one_writer_of_all_turns(self) -> None:
        """No second writer was there at any moment, and no turn is lost."""
        wrong = [*writer.second_writers(self.vm), *writer.lost_turns(self.vm)]
        assert not wrong, "\n".join(wrong)


def said(done: subprocess.CompletedProcess[str]) -> list[str]:
    """Return every line that a verb printed, on either stream, without what fills its end."""
    return [line.rstrip() for line in (done.stdout + done.stderr).splitlines()]
