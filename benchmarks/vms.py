"""VMs to measure on, in temporary directories: accounts whose links are all right."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from benchmarks.side_by_side import clean_environment
from invariants.checks import expected_checks
from invariants.inventory import load

LINKS = ("session-env", "file-history", "projects")


class Vm(NamedTuple):
    """One VM: its directory, and how many accounts and sessions its inventory names."""

    root: Path
    accounts: int
    sessions: int

    @property
    def inventory(self) -> Path:
        """The inventory."""
        return self.root / "failover.toml"

    @property
    def environ(self) -> dict[str, str]:
        """The environment for whoever works on it; its user's home is in it, too."""
        return clean_environment(self.root)

    @property
    def checks(self) -> int:
        """How many checks the inventory calls for, of all families."""
        return len(expected_checks(load(str(self.inventory)), self.environ))

    def home(self, number: int) -> Path:
        """Return an account's home."""
        return self.root / f"home{number}"

    def break_links(self, accounts: int) -> None:
        """Remove the links of the first *accounts* homes; put back those of the others."""
        for number in range(self.accounts):
            for link in LINKS:
                entry = self.home(number) / link
                entry.unlink(missing_ok=True)
                if number >= accounts:
                    entry.symlink_to(self.root / "shared" / link)


@contextmanager
def built(accounts: int, sessions: Sequence[str] = (), settle: float = 0.0) -> Iterator[Vm]:
    """Make a VM whose links are all right; yield it, and remove it afterwards.

    The *sessions*, by name, run ``sleep`` under the first account, in tmux.
    """
    root = Path(tempfile.mkdtemp(prefix="claude-failover-bench-"))
    vm = Vm(root, accounts, len(sessions))
    try:
        for link in LINKS:
            (root / "shared" / link).mkdir(mode=0o700, parents=True)
        for number in range(accounts):
            vm.home(number).mkdir(mode=0o700)
        vm.break_links(0)
        lines = ["[shared]", 'root = "shared"']
        for number in range(accounts):
            lines += ["[[accounts]]", f'name = "account{number}"', f'home = "home{number}"']
        for name in sessions:
            lines += ["[[sessions]]", f'name = "{name}"', 'account = "account0"']
            lines += [f"directory = {json.dumps(str(root))}", 'command = ["sleep", "86400"]']
        lines += ["[launcher]", 'state = "state"', "timeout = 600", f"settle = {settle}"]
        lines += ['backend = "tmux"'] if sessions else []
        vm.inventory.write_text("\n".join([*lines, ""]))
        vm.inventory.chmod(0o600)
        yield vm
    finally:
        shutil.rmtree(root)
