"""The same checks by other validators: pytest-testinfra and serverspec, at 6 and 300 links.

Each is asked, for every home, that it is a directory; for every target the same; and for every
entry, that it is a symlink and leads to its target. ``launcher check`` asks more of each, and
publishes a report; it runs twice: once with every family switched off that can be, since the peers
have no such checks, and once as it is by default. The peers come by name: pytest-testinfra from
PyPI into a virtual environment of its own below ``~/.cache``, serverspec from the distribution
(``apt install ruby-serverspec``).

    python -m benchmarks.peers --accounts 2 100 --runs 15
"""

from __future__ import annotations

import json
import shutil
import sys

from benchmarks.peer_environment import PeerMissing, peer_python
from benchmarks.side_by_side import Contestant, Goal, Outcome, arguments, in_turn, launcher, run
from benchmarks.vms import LINKS, Vm, built
from invariants.checks import switchable

SAME, CHECK = "launcher check, the same", "launcher check, all"
TESTINFRA, SERVERSPEC = "pytest-testinfra", "serverspec"
LIMITS = {2: (0.70, 0.40), 100: (0.30, 0.08)}
"""By accounts, of three links each: the goals over pytest-testinfra and over serverspec."""

_TESTINFRA = """\
import pytest

@pytest.mark.parametrize("path", {directories})
def test_directory(host, path):
    assert host.file(path).is_directory

@pytest.mark.parametrize(("path", "target"), {entries})
def test_entry(host, path, target):
    entry = host.file(path)
    assert entry.is_symlink
    assert entry.linked_to == target
"""

_SERVERSPEC = """\
require "serverspec"
set :backend, :exec

{directories}.each do |path|
  describe file(path) do
    it {{ should be_directory }}
  end
end

{entries}.each do |path, target|
  describe file(path) do
    it {{ should be_symlink }}
    it {{ should be_linked_to target }}
  end
end
"""


def contestants(vm: Vm, outcome: Outcome) -> dict[str, Contestant]:
    """Return who runs on *vm*; who is not there is told in *outcome*."""
    shared = vm.root / "shared"
    homes = [vm.home(number) for number in range(vm.accounts)]
    words = {
        "directories": json.dumps([str(path) for path in (*homes, *(shared / it for it in LINKS))]),
        "entries": json.dumps(
            [[str(home / it), str(shared / it)] for home in homes for it in LINKS]
        ),
    }
    narrow = vm.root / "narrow.toml"
    off = [f'{family} = "no peer checks it"\n' for family in switchable()]
    narrow.write_text("".join([vm.inventory.read_text(), "[invariants.off]\n", *off]))
    narrow.chmod(0o600)
    check = [launcher(), "check", "--inventory"]
    found: dict[str, Contestant] = {
        SAME: lambda: run([*check, str(narrow)], environ=vm.environ),
        CHECK: lambda: run([*check, str(vm.inventory)], environ=vm.environ),
    }
    try:
        python = peer_python()
        tests = vm.root / "test_peer.py"
        tests.write_text(_TESTINFRA.format(**words))
        command = [python, "-m", "pytest", "-q", "--hosts=local://", str(tests)]
        found[TESTINFRA] = lambda: run(command, environ=vm.environ, cwd=vm.root)
    except PeerMissing as error:
        outcome.missing.append(f"{TESTINFRA}: {error}")
    rspec = shutil.which("rspec")
    if rspec is None:
        outcome.missing.append(f"{SERVERSPEC}: not installed (apt install ruby-serverspec)")
    else:
        spec = vm.root / "peer_spec.rb"
        spec.write_text(_SERVERSPEC.format(**words))
        line = [rspec, str(spec)]
        found[SERVERSPEC] = lambda: run(line, environ=vm.environ, cwd=vm.root)
    return found


def main() -> int:
    """Measure every size, and tell."""
    parser = arguments(__doc__)
    parser.add_argument("--accounts", type=int, nargs="+", default=[2, 25, 50, 100])
    options = parser.parse_args()
    outcome = Outcome("peers")
    for accounts in options.accounts:
        limits = LIMITS.get(accounts, (None, None))
        goals = [
            goal
            for peer, limit in zip((TESTINFRA, SERVERSPEC), limits, strict=True)
            for goal in (
                Goal(f"`launcher check`, the same checks, over {peer}", SAME, peer, limit),
                Goal(f"`launcher check`, all that it checks, over {peer}", CHECK, peer),
            )
        ]
        with built(accounts) as vm:
            outcome.missing.clear()
            seen = in_turn(contestants(vm, outcome), options.runs)
            outcome.add(seen, goals, at=accounts * len(LINKS))
    return outcome.tell(options.json)


if __name__ == "__main__":
    sys.exit(main())
