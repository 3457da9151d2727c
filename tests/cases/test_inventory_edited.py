"""The inventory is edited after a green gate: nobody has looked at what it demands now."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cases.vm import said
from tests.vm import Vm

EDITED = (
    "CLAUDE_FAILOVER UNKNOWN - the inventory or an own invariant has been edited since: "
    "run launcher check | "
)
GREEN = "CLAUDE_FAILOVER OK - all {count} invariants hold | "
OWN = '''\
def test_mine(account):
    """Something of the operator's."""
    assert account.name{more}
'''


class Edited:
    """A VM with a session and an own invariant, all right, and its inventory."""

    def __init__(self, vm: Vm) -> None:
        self.vm = vm
        self.own = vm.root / "own" / "test_mine.py"
        self.own.parent.mkdir(mode=0o755)
        self.own.write_text(OWN.format(more=""))
        vm.write({"work": ["sleep", "600"]}, invariants=[str(self.own.parent)])

    def replace(self, old: str, new: str) -> None:
        before = self.vm.inventory.read_text()
        after = before.replace(old, new)
        assert before != after
        self.vm.inventory.write_text(after)

    def status(self) -> tuple[int, str]:
        """Return the exit code and the line that a monitor sees."""
        done = self.vm.run("status", "--format", "nagios")
        return done.returncode, said(done)[0]


@pytest.fixture
def edited(vm: Vm) -> Edited:
    made = Edited(vm)
    done = vm.run("check")
    assert 0 == done.returncode, said(done)
    return made


def root(edited: Edited) -> None:
    edited.replace(f'root = "{edited.vm.shared}"', f'root = "{edited.vm.root}/elsewhere"')


def home(edited: Edited) -> None:
    edited.replace(f'"{edited.vm.home("backup")}"', f'"{edited.vm.root}/nowhere"')


def directory(edited: Edited) -> None:
    edited.replace(f'directory = "{edited.vm.root}"', f'directory = "{edited.vm.root}/nowhere"')


def program(edited: Edited) -> None:
    edited.replace('command = ["sleep", "600"]', 'command = ["no-such-program"]')


def retention(edited: Edited) -> None:
    edited.replace("[shared]", "[shared]\nretention_days = 3650")


def backend(edited: Edited) -> None:
    edited.replace('backend = "process"', 'backend = "tmux"')


def own_file(edited: Edited) -> None:
    edited.own.write_text(OWN.format(more=" == 'nobody'"))


def own_file_more(edited: Edited) -> None:
    (edited.own.parent / "test_more.py").write_text(OWN.format(more=" == 'x'"))


def own_directory(edited: Edited) -> None:
    edited.replace(f'invariants = ["{edited.own.parent}"]', "invariants = []")


def parity(edited: Edited) -> None:
    edited.replace("[launcher]", "[invariants]\nparity = true\n[launcher]")


EDITS = (
    *(home, root, directory, program, retention, backend),
    *(own_file, own_file_more, own_directory),
)


@pytest.mark.parametrize("edit", EDITS)
@pytest.mark.sampled(2)
def test_green_of_an_edited_inventory_is_unknown(
    edited: Edited, edit: Callable[[Edited], None]
) -> None:
    inventory, own = edited.vm.inventory.read_text(), edited.own.read_text()
    code, line = edited.status()
    assert (0, True) == (code, line.startswith(GREEN.format(count=26))), line
    edit(edited)
    code, line = edited.status()
    assert (3, True) == (code, line.startswith(EDITED)), line
    assert edited.vm.run("status").returncode in (1, 70), "a look at everything may see it red"
    edited.vm.inventory.write_text(inventory)
    edited.own.write_text(own)
    Path(edited.own.parent / "test_more.py").unlink(missing_ok=True)
    assert 0 == edited.status()[0], "what was undone has changed nothing"


def test_checks_that_were_not_run_are_named(edited: Edited) -> None:
    parity(edited)
    code, line = edited.status()
    lacking = "it does not tell of test_settings_are_equal[primary], which the inventory calls"
    assert (3, True) == (code, lacking in line), line


def test_gate_after_the_edit_counts(edited: Edited) -> None:
    home(edited)
    assert 1 == edited.vm.run("check").returncode
    code, line = edited.status()
    assert (2, True) == (code, line.startswith("CLAUDE_FAILOVER CRITICAL - 1 of 26 ")), line


def test_edit_that_demands_nothing_else_leaves_it_green(edited: Edited) -> None:
    edited.replace("[shared]", "# a comment\n[shared]  # another one")
    edited.replace("settle = 0.05", "timeout = 31\nsettle = 0.5")
    text = edited.vm.inventory.read_text()
    accounts = re.findall(r'\[\[accounts\]\]\nname = "\w+"\nhome = ".*"\n', text)
    edited.replace("".join(accounts), "".join(reversed(accounts)))
    code, line = edited.status()
    assert (0, True) == (code, line.startswith(GREEN.format(count=26))), line


def test_switch_is_no_edit(edited: Edited) -> None:
    """Neither for the one who knows where the session is now, nor for the inventory alone."""
    assert 0 == edited.vm.run("up").returncode
    switched = edited.vm.run("switch", "work", "backup")
    assert 0 == switched.returncode, said(switched)
    assert 0 == edited.status()[0]
    (edited.vm.state / "placements" / "work.json").unlink()
    assert 0 == edited.status()[0]


def test_own_invariant_that_is_replaced_while_it_is_judged_is_not_the_one_judged(
    edited: Edited,
) -> None:
    replaces = "__import__('os').replace(__file__ + '.new', __file__) is None"
    source = OWN.replace("account.name{more}", replaces).replace("(account)", "()")
    edited.own.write_text(source)
    Path(f"{edited.own}.new").write_text(OWN.format(more=""))
    done = edited.vm.run("check")
    assert 0 == done.returncode, said(done)
    code, line = edited.status()
    assert (3, True) == (code, line.startswith(EDITED)), line
