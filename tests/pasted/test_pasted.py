"""Every fix of every state is pasted into a real shell: it mends, or says that it only looks.

With ``PASTED_FIXES=FILE`` a line for each is written there: state, fix, what became of it.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from invariants.links import LinkState
from invariants.naming import BROKEN, NOT_JUDGED
from launcher.meanings import TOPICS
from tests.pasted.machine import ALIVE, Machine, about, is_look
from tests.pasted.ways import WAYS, Way
from tests.shell_lines import is_a_line_for_a_shell
from tests.test_explain import PLACEHOLDERS, states_of
from tests.vm import CHECKOUT, Vm

NOT_MADE = {
    ("isolation", "unreadable"): "what a home lets nobody look at is the home's own fault",
    ("places", "unreadable"): "told as a home's or a target's own state, with the same fix",
}
"""States that no file system can be brought to give here, and why."""


def derived() -> set[tuple[str, str]]:
    """Return every state that a module of the invariants gives, as its text has it."""
    found = {("entries", str(state)) for state in LinkState if state is not LinkState.SHARED}
    found |= {("own", BROKEN), ("own", NOT_JUDGED)}
    for module in sorted((CHECKOUT / "invariants").glob("*.py")):
        for state in states_of(module):
            kinds = ("home", "target") if state in PLACEHOLDERS else ("",)
            found |= {(module.stem, f"{state}{kind}") for kind in kinds}
    return found


def test_every_state_is_pasted() -> None:
    made = {(way.module, way.state) for way in WAYS}
    assert set() == derived() - made - set(NOT_MADE)
    assert set() == (made | set(NOT_MADE)) - derived()
    told = {topic.name for topic in TOPICS if topic.kind.startswith("state of")}
    assert set() == told - {state for _, state in made} - {"shared"}


@pytest.fixture
def machine(vm: Vm) -> Iterator[Machine]:
    """Return the VM before it is broken."""
    made = Machine(vm)
    yield made
    made.close()


def test_machine_is_green_before(machine: Machine) -> None:
    assert [] == machine.failures()


SHELLS = [name for name in ("bash", "sh") if shutil.which(name)]


@pytest.mark.sampled(6)
@pytest.mark.parametrize("way", WAYS, ids=[way.what for way in WAYS])
@pytest.mark.parametrize("shell", SHELLS)
def test_fix_mends_or_says_that_it_only_looks(machine: Machine, shell: str, way: Way) -> None:
    if way.needs_root and os.geteuid() != 0:
        pytest.skip("only root can mount, give files away and make them immutable")
    entered = way.make(machine)
    with suppress(StopIteration):
        next(entered) if isinstance(entered, Iterator) else None
    try:
        _paste(machine, shell, way)
    finally:
        if isinstance(entered, Iterator):
            assert [] == list(entered)


def _paste(machine: Machine, shell: str, way: Way) -> None:
    broken = [one for one in machine.failures() if one["state"] == way.state]
    assert broken, machine.failures()
    before = machine.contents()
    codes = [_pasted(machine, shell, one["fix"], way.mends) for one in broken]
    assert set() == before - machine.contents()
    left = [about(one) for one in machine.failures()]
    is_mended = about(broken[0]) not in left
    assert way.mends == is_mended, (broken, left)
    if place := os.environ.get("PASTED_FIXES"):
        became = "mended" if is_mended else "looks"
        line = [way.module, way.state, way.what, shell, broken[0]["fix"], codes[0], became]
        with Path(place).open("a") as file:
            file.write("\t".join(line) + "\n")


def _pasted(machine: Machine, shell: str, fix: str, mends: bool) -> str:
    """Paste a fix; return its exit code, once the shell has proved to be as it was."""
    assert is_a_line_for_a_shell(fix), fix
    done = machine.paste(shell, fix)
    said = f"{fix}\n{done.stdout}{done.stderr}"
    answer = re.search(rf"^{ALIVE} (\d+)$", done.stdout, re.MULTILINE)
    assert answer is not None, said
    assert 0 == done.returncode, said
    for wrong in ("yntax error", "unexpected", "command not found"):
        assert wrong not in done.stderr, said
    assert mends != is_look(fix), said
    assert "0" == answer[1] or is_look(fix), said
    return answer[1]
