"""What an invariant reads is declared, and the watch hears of it: no family can leave one out."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from inotify_simple import flags

from invariants.checks import FAMILIES, Family
from invariants.declared import declaration, declared
from invariants.inputs import PROCESSES, Input
from invariants.inventory import Inventory, load
from launcher.early import gate_environment
from launcher.watch.subjects import Subject
from launcher.watch.trace import ANY_CONTENT, ANY_NAME, trace
from tests.vm import CHECKOUT, Vm
from tests.watch.conftest import Watcher
from tests.watch.rich import Rich, Way

Watching = Callable[..., Watcher]
FIRST = "home_is_usable"
"""The invariant that each other one asks whether it can be judged."""
_GATE = """
import sys
root, test, inventory = sys.argv[1:]
sys.path.insert(0, root)
import pytest
from launcher.child import ARGUMENTS
pinned = ["-c", "/dev/null", f"--rootdir={root}", f"--confcutdir={root}/invariants"]
sys.exit(pytest.main([f"{root}/{test}", *pinned, *ARGUMENTS, "--inventory", inventory]))
"""
GENEROUS = 10.0
"""Seconds that a busy machine may take for what is promised within one, or two for a process."""


@pytest.fixture(scope="session")
def preloaded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the library that notes what a process reads."""
    if shutil.which("gcc") is None:
        pytest.skip("what a process reads is noted by a library that needs a C compiler")
    source = Path(__file__).with_name("reads.c")
    built = tmp_path_factory.mktemp("reads") / "reads.so"
    command = ["gcc", "-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o", str(built)]
    subprocess.run([*command, str(source), "-ldl"], check=True)
    return built


class Heard:
    """What the watch hears of, by the watches that it would set."""

    def __init__(self, inputs: list[Input]) -> None:
        self._masks: dict[str, int] = {}
        paths: list[str] = []

        def add(path: str, mask: int) -> int:
            os.lstat(path)
            self._masks[path] = self._masks.get(path, 0) | mask
            if path not in paths:
                paths.append(path)
            return paths.index(path)

        made = trace([Subject(one.path, "", one.content, one.names) for one in inputs], add)
        self._names = {paths[at]: names for at, names in made.names.items()}

    def of(self, how: str, path: str) -> bool:
        """Tell whether a change of what was read at *path* is heard: of what *how* read there."""
        while not os.path.lexists(above := os.path.dirname(path)):
            path, how = above, "s"  # of what is missing already, the first that is
        real = os.path.join(os.path.realpath(above), os.path.basename(path))
        if how == "l" and os.path.isdir(path):
            names = self._names.get(os.path.realpath(path), {})
            return ANY_NAME in names or ANY_CONTENT in names
        names = self._names.get(os.path.dirname(real), {})
        heard = os.path.basename(real) in names or ANY_CONTENT in names
        if how == "o" and os.path.isfile(path) and not os.path.islink(path):
            return heard and bool(self._masks[os.path.dirname(real)] & flags.CLOSE_WRITE)
        return heard or "" in self._names.get(real, {})


def inputs_of(inventory: Inventory, vm: Vm, *invariants: str) -> list[Input]:
    found = declared(inventory, gate_environment(vm.environ), invariants)
    return [one for _, one in found if one.path != PROCESSES]


@pytest.mark.parametrize("invariant", FAMILIES)
def test_all_that_an_invariant_reads_is_heard_of(
    rich: Rich, preloaded: Path, tmp_path: Path, invariant: str
) -> None:
    vm, log = rich.vm, tmp_path / "reads"
    heard = Heard(inputs_of(load(str(vm.inventory)), vm, FIRST, invariant))
    test = f"invariants/{FAMILIES[invariant].module}::test_{invariant}"
    done = subprocess.run(
        [sys.executable, "-I", "-c", _GATE, str(CHECKOUT), test, str(vm.inventory)],
        env={  # what measures coverage would read below the VM, too
            **{name: vm.environ[name] for name in vm.environ if not name.startswith("COVERAGE")},
            "LD_PRELOAD": str(preloaded),
            "READS": str(log),
            "CLAUDE_FAILOVER_INVENTORY": str(vm.inventory),  # or the default's place is looked at
        },
        check=False,
        capture_output=True,
        text=True,
    )
    assert 0 == done.returncode, done.stdout + done.stderr
    lines = {line for line in log.read_text(errors="surrogateescape").splitlines() if line}
    read = [(line[0], os.path.normpath(line[2:])) for line in sorted(lines)]
    below = [(how, path) for how, path in read if path.startswith(f"{vm.root}/")]
    below = [(how, path) for how, path in below if path != str(vm.inventory)]
    assert below or "backend" in invariant, "nothing was read: the library does not work"
    assert [] == [(how, path) for how, path in below if not heard.of(how, path)]


def test_family_without_a_declaration_cannot_be_written(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(TypeError, match="reads"):
        Family("test_links.py", "entry")  # type: ignore[call-arg]
    new = {**FAMILIES, "new": Family("test_links.py", "entry", "links:inputs")}
    monkeypatch.setattr("invariants.declared.FAMILIES", new)
    with pytest.raises(AttributeError):
        declaration("new")


def test_documentation_says_what_is_read_and_what_counts(rich: Rich) -> None:
    table: dict[str, str] = {}
    invariant = ""
    for line in (CHECKOUT / "docs" / "watch.md").read_text().splitlines():
        if line.startswith("| `") or (line.startswith("| |") and invariant):
            invariant = line.split("`")[1] if line.startswith("| `") else invariant
            table[invariant] = f"{table.get(invariant, '')}{line}\n"
        else:
            invariant = ""
    assert list(FAMILIES) == [name for name in FAMILIES if name in table]
    environ = gate_environment(rich.vm.environ)
    for name, one in declared(load(str(rich.vm.inventory)), environ):
        words = "every change" if one.part is None else one.part.words.replace("`", "")
        assert f"| {words} |" in table[name].replace("`", ""), name
        elsewhere = (PROCESSES, "/bin/sh")  # the stand-in's interpreter
        if not one.path.startswith(str(rich.root)) and one.path not in elsewhere:
            path = one.path.replace(f"tmux-{os.geteuid()}", "tmux-UID")
            known = (f"`{path}`", ".git")  # the parents of the VM's directories are read too
            assert any(word in table[name] for word in known), (name, one.path)


def below(rich: Rich) -> set[tuple[str, str]]:
    """Return the inputs that are declared below the VM, each by its invariant."""
    environ = gate_environment(rich.vm.environ)
    return {
        (invariant, os.path.relpath(one.path, rich.root))
        for invariant, one in declared(load(str(rich.vm.inventory)), environ)
        if one.path.startswith(str(rich.root))
    }


def test_every_input_below_the_vm_can_be_broken(rich: Rich) -> None:
    ways = {(way.invariant, os.path.normpath(way.path)) for way in rich.ways()}
    # What lies beside targets is no home of anybody's; and of a home one mark is as good as all.
    vain = ("shared/", "other/")
    unseen = {one for one in below(rich) - ways if not one[1].startswith(vain)}
    # What else may name a login is read where `.credentials.json` has none (test_logins.py), and
    # the rest of what is read for the memory is no more than a warning (test_memory.py).
    memory = {one for one in unseen if one[0] == "session_can_start_unattended"}
    files = {"claude", "settings.json", "settings.local.json"}
    assert files == {os.path.basename(path) for _, path in memory}
    assert {"session_is_logged_in"} >= {invariant for invariant, _ in unseen - memory}
    assert {name for name, _ in ways} == set(FAMILIES)


def broken(watcher: Watcher, way: Way) -> float:
    """Break the VM in *way*, and mend it; return for how many seconds the report stayed green."""
    vm = watcher.vm
    with way.broken():
        done = time.time()
        watcher.wait(lambda: watcher.verdict != "green", f"{way}: {watcher.said()}")
        seconds = vm.report_path.stat().st_mtime - done
        watcher.wait(
            lambda: {one["invariant"] for one in vm.report["failures"]} & set(way.seen),
            f"{way}: {vm.report['failures']}",
        )
    watcher.until("green", f"{way} is over")
    return seconds


@pytest.mark.sampled(3)
@pytest.mark.parametrize("invariant", FAMILIES)
def test_whatever_breaks_is_told_at_once(rich: Rich, watching: Watching, invariant: str) -> None:
    """Break each input of a family in each way; ``-s`` prints how long the report stayed green."""
    watcher = watching(rich.vm)
    watcher.until("green")
    ways = (way for way in rich.ways() if way.invariant == invariant)
    took = {f"{way.invariant} {way.path}": broken(watcher, way) for way in ways}
    for name, seconds in sorted(took.items(), key=lambda item: -item[1])[:10]:
        print(f"{1000 * seconds:7.0f} ms  {name}")
    assert max(took.values()) < GENEROUS
