"""The metrics file: written with every verdict, whole or not at all, never its judge."""

from __future__ import annotations

import json
import os
import re
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from invariants.inventory import Inventory, InventoryError, load
from launcher.metrics import disown_metrics, doubt_metrics, write_metrics
from launcher.processes import identify
from launcher.report import announce, failover_key, published
from launcher.verdict import Colour, Gate, Verdict
from tests.formats.test_prometheus import of, samples
from tests.test_history import failure
from tests.vm import UNPRIVILEGED, Vm


@pytest.fixture
def path(vm: Vm) -> Path:
    """Ask for metrics; return where."""
    vm.write(prometheus=str(vm.root / "claude-failover.prom"))
    return vm.root / "claude-failover.prom"


@pytest.fixture
def inventory(vm: Vm, path: Path) -> Inventory:
    return load(str(vm.inventory))


def verdict_in(path: Path) -> str:
    seen = samples(path.read_text())
    (colour,) = [colour for colour in Colour if seen[of("verdict", verdict=colour.value)]]
    return colour.value


def gate(colour: Colour = Colour.RED) -> Gate:
    now = time.time()
    if colour is Colour.UNKNOWN:
        return Gate(Verdict(colour, "why"), {}, now, now)
    return Gate(Verdict(colour, None, (failure("backup"),), 21, 20), {}, now, now)


def document(inventory: Inventory, colour: Colour = Colour.RED) -> dict[str, Any]:
    return {"failover": failover_key(inventory, gate(colour), ())}


def test_every_gate_writes_what_its_report_says(vm: Vm, path: Path) -> None:
    green = vm.run("check")
    assert (0, "") == (green.returncode, green.stderr)
    assert ("green", 0o644) == (verdict_in(path), stat.S_IMODE(path.stat().st_mode))
    vm.diverge()
    assert 1 == vm.run("check").returncode
    seen = samples(path.read_text())
    assert 0 == seen[of("link_shared", account="backup", link="projects")]
    finished = json.loads(vm.report_path.read_text())["failover"]["finished"]
    assert finished == seen[of("last_run_timestamp_seconds")]


def test_gate_at_work_leaves_the_metrics_alone(inventory: Inventory, path: Path) -> None:
    published(inventory, gate(), ())
    announce(inventory, "a launcher is at work")
    assert "red" == verdict_in(path)
    announce(inventory, "it went wrong", passing=False)
    assert "unknown" == verdict_in(path)


def test_gate_at_work_leaves_no_green_and_all_else(
    vm: Vm, inventory: Inventory, path: Path
) -> None:
    assert 0 == vm.run("check").returncode
    before = path.read_text()
    announce(inventory, "a launcher is at work, or was killed at it")
    assert "unknown" == verdict_in(path)
    changed = set(before.splitlines()) ^ set(path.read_text().splitlines())
    assert changed
    assert all(line.startswith("claude_failover_verdict{") for line in changed)
    published(inventory, gate(Colour.UNKNOWN), (), passing=True)
    assert "unknown" == verdict_in(path)


@pytest.mark.parametrize(
    "labels",
    ['verdict="{}"', 'other="/a,verdict=\\"green\\"}} 1",verdict="{}"', 'verdict="{}",z="1"'],
)
def test_green_is_found_whatever_labels_are_beside_it(
    inventory: Inventory, path: Path, labels: str
) -> None:
    values = {"green": "1.0", "red": "0.0", "unknown": "0.0"}
    head = "# HELP claude_failover_verdict x\n"
    lines = [f"claude_failover_verdict{{{labels.format(one)}}} {values[one]}\n" for one in values]
    path.write_text(head + "".join(lines) + "claude_failover_warnings 1.0\n")
    doubt_metrics(inventory)
    values = {"green": "0.0", "red": "0.0", "unknown": "1.0"}
    lines = [f"claude_failover_verdict{{{labels.format(one)}}} {values[one]}\n" for one in values]
    assert head + "".join(lines) + "claude_failover_warnings 1.0\n" == path.read_text()


def test_green_of_another_inventory_is_not_doubted(inventory: Inventory, path: Path) -> None:
    theirs = (
        '# HELP claude_failover_x\nclaude_failover_verdict{inventory="/b",verdict="green"} 1.0\n'
    )
    path.write_text(theirs)
    doubt_metrics(inventory)
    assert theirs == path.read_text()
    path.write_text(theirs.replace("/b", inventory.path))
    doubt_metrics(inventory)
    assert theirs.replace("/b", inventory.path).replace("1.0", "0.0") == path.read_text()


def test_doubt_makes_no_file_and_leaves_others_alone(inventory: Inventory, path: Path) -> None:
    doubt_metrics(inventory)
    assert not path.exists()
    foreign = 'claude_failover_verdict{verdict="green"} 1.0\n'
    path.write_text(foreign)
    doubt_metrics(inventory)
    assert foreign == path.read_text()
    path.unlink()
    os.mkfifo(path)
    doubt_metrics(inventory)
    path.unlink()
    path.mkdir()
    doubt_metrics(inventory)


@pytest.mark.parametrize(("interval", "seconds"), [(1, 180), (60, 180), (600, 1800)])
def test_verdict_counts_until_the_next_gate_is_long_overdue(
    vm: Vm, path: Path, interval: float, seconds: float
) -> None:
    vm.write(prometheus=str(path), more=f"[watch]\ninterval = {interval}")
    inventory, done = load(str(vm.inventory)), gate()
    published(inventory, done, (), keeper=identify(os.getpid()))
    until = of("counts_until_timestamp_seconds")
    assert done.finished + seconds == pytest.approx(samples(path.read_text())[until], abs=0.01)
    published(inventory, done, ())
    assert done.finished + 900 == pytest.approx(samples(path.read_text())[until], abs=0.01)


def test_verdict_that_could_not_be_published_is_unknown_there(vm: Vm, path: Path) -> None:
    vm.write(prometheus=str(path), report=str(vm.root / "there" / "report.json"))
    (vm.root / "there" / "report.json").mkdir(parents=True)
    assert 70 == vm.run("check").returncode
    assert "unknown" == verdict_in(path)


def test_wrong_inventory_turns_them_unknown(vm: Vm, path: Path) -> None:
    vm.run("check")
    vm.inventory.write_text(f"{vm.inventory.read_text()}\ntypo = 1\n")
    assert 78 == vm.run("check").returncode
    assert "unknown" == verdict_in(path)


def test_place_that_is_wrong_itself_is_not_written_to(vm: Vm) -> None:
    inside = vm.home("backup") / "a.prom"
    vm.write(prometheus=str(inside))
    with pytest.raises(InventoryError) as wrong:
        load(str(vm.inventory))
    assert "the metrics" in str(wrong.value)
    assert (None, None) == (wrong.value.metrics, disown_metrics(wrong.value))


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("metrics.txt", "must end in .prom"),
        ("state/report.json", "must end in .prom"),
        ("state/lock/a.prom", "lies inside the launcher's lock"),
    ],
)
def test_place_has_to_be_their_own(vm: Vm, name: str, problem: str) -> None:
    vm.write(prometheus=str(vm.root / name))
    with pytest.raises(InventoryError, match=problem):
        load(str(vm.inventory))


def test_verdict_stands_where_they_cannot_be_written(vm: Vm, path: Path) -> None:
    path.mkdir()
    done = vm.run("check")
    assert (0, "green") == (done.returncode, vm.report["verdict"])
    problem = "something that is no regular file stands there"
    assert f"launcher: the metrics cannot be written: {path}: {problem}\n" == done.stderr


def test_file_of_somebody_else_is_left_alone(inventory: Inventory, path: Path) -> None:
    path.write_text("node_precious 1\n")
    problem = write_metrics(inventory, document(inventory))
    assert problem is not None
    assert "did not write" in problem
    assert "node_precious 1\n" == path.read_text()


def test_symlink_is_left_alone(inventory: Inventory, path: Path, tmp_path: Path) -> None:
    path.symlink_to(tmp_path / "elsewhere")
    problem = write_metrics(inventory, document(inventory))
    assert problem is not None
    assert path.is_symlink()
    assert not (tmp_path / "elsewhere").exists()


def another(vm: Vm, path: Path, name: str = "other.toml") -> Inventory:
    """Return a second inventory that asks for its metrics at the same *path*."""
    other = vm.root / name
    other.write_text(vm.inventory.read_text())
    other.chmod(0o600)
    return load(str(other))


def test_file_of_another_inventory_is_left_alone_and_neither_flaps(
    vm: Vm, inventory: Inventory, path: Path
) -> None:
    other = another(vm, path)
    told = document(inventory)
    assert write_metrics(inventory, told) is None
    before = path.read_bytes()
    for _ in range(2):
        problem = write_metrics(other, document(other, Colour.UNKNOWN))
        fix = f"name another file in launcher.prometheus, or, if that is gone: rm {path}"
        why = f"the inventory {vm.inventory} writes it: {fix}"
        assert f"the metrics cannot be written: {path}: {why}" == problem
        assert before == path.read_bytes()
        assert write_metrics(inventory, told) is None
    path.unlink()
    assert write_metrics(other, document(other, Colour.UNKNOWN)) is None
    assert write_metrics(inventory, told) is not None
    assert "unknown" == verdict_in(path)


def test_second_inventory_says_so_with_every_verdict_and_keeps_its_own(vm: Vm, path: Path) -> None:
    assert 0 == vm.run("check").returncode
    other = another(vm, path)
    vm.diverge()
    vm.inventory = Path(other.path)
    done = vm.run("check")
    assert 1 == done.returncode
    assert done.stderr.startswith(f"launcher: the metrics cannot be written: {path}: the inventory")
    assert "green" == verdict_in(path)


def test_wrong_inventory_does_not_disown_the_metrics_of_another(
    vm: Vm, inventory: Inventory, path: Path
) -> None:
    write_metrics(inventory, document(inventory))
    error = InventoryError([str(vm.root / "other.toml")], ["wrong"], metrics=str(path))
    problem = disown_metrics(error)
    assert problem is not None
    assert f"the inventory {vm.inventory} writes it" in problem
    assert "red" == verdict_in(path)


def test_file_of_an_earlier_version_is_taken_over(inventory: Inventory, path: Path) -> None:
    told = document(inventory)
    write_metrics(inventory, told)
    text = path.read_text()
    earlier = re.sub(r'inventory="[^"]*",?', "", text).replace("{}", "")
    path.write_text(earlier)
    assert "inventory=" not in earlier
    assert write_metrics(inventory, told) is None
    assert text == path.read_text()


def test_other_spelling_of_the_same_inventory_is_no_other_one(
    vm: Vm, inventory: Inventory, path: Path
) -> None:
    write_metrics(inventory, document(inventory))
    link = vm.root / "link.toml"
    link.symlink_to(vm.inventory)
    spelled = load(str(link))
    assert write_metrics(spelled, document(spelled)) is None
    assert f'inventory="{link}"' in path.read_text()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to another")
def test_file_of_another_user_is_left_alone(inventory: Inventory, path: Path) -> None:
    write_metrics(inventory, document(inventory))
    os.chown(path, 54322, 54322)
    before = path.read_bytes()
    problem = write_metrics(inventory, document(inventory, Colour.UNKNOWN))
    why = "it belongs to uid 54322: name another file in launcher.prometheus"
    assert f"the metrics cannot be written: {path}: {why}" == problem
    assert before == path.read_bytes()


@pytest.mark.parametrize("mode", [0o1777, 0o777], ids=["sticky", "open"])
def test_directory_of_the_metrics_may_be_anybodys(vm: Vm, mode: int) -> None:
    place = vm.root / "textfiles"
    place.mkdir()
    place.chmod(mode)
    vm.write(prometheus=str(place / "a.prom"))
    done = vm.run("check")
    assert (0, "", "green") == (done.returncode, done.stderr, verdict_in(place / "a.prom"))


def test_missing_directory_is_told_not_made(vm: Vm) -> None:
    vm.write(prometheus=str(vm.root / "gone" / "a.prom"))
    inventory = load(str(vm.inventory))
    problem = write_metrics(inventory, document(inventory))
    assert f"the metrics cannot be written: {vm.root}/gone/a.prom: No such file or directory" == (
        problem
    )


def test_fault_of_ours_is_told_not_raised(inventory: Inventory) -> None:
    problem = write_metrics(inventory, {})
    assert problem is not None
    assert "KeyError" in problem


def test_library_that_is_not_there_is_told(
    inventory: Inventory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "launcher.formats.prometheus", None)
    problem = write_metrics(inventory, document(inventory))
    assert problem is not None
    assert "ModuleNotFoundError" in problem


@pytest.mark.skipif(not UNPRIVILEGED, reason="needs root, to be somebody without its rights")
def test_directory_that_may_not_be_written_to_is_told(vm: Vm, path: Path) -> None:
    directory = vm.root / "textfiles"
    directory.mkdir(mode=0o555)
    vm.write(prometheus=str(directory / "a.prom"))
    done = vm.run("check", prefix=UNPRIVILEGED)
    assert (0, True) == (done.returncode, "Permission denied" in done.stderr)


def test_reader_never_sees_a_torn_file(inventory: Inventory, path: Path) -> None:
    documents = [document(inventory, colour) for colour in (Colour.RED, Colour.UNKNOWN)]
    write_metrics(inventory, documents[0])
    over = threading.Event()
    seen: list[str] = []

    def read_on() -> None:
        while not over.is_set():
            seen.append(verdict_in(path))

    reader = threading.Thread(target=read_on)
    reader.start()
    for number in range(100):
        assert write_metrics(inventory, documents[number % 2]) is None
    over.set()
    reader.join()
    assert {"red", "unknown"} == set(seen)
    assert [path.name] == [name for name in os.listdir(path.parent) if "claude-failover" in name]


PUBLISHER = """
import json, sys
from invariants.inventory import load
from launcher.metrics import write_metrics
inventory = load(sys.argv[1])
documents = json.loads(sys.argv[2])
while True:
    for document in documents:
        assert write_metrics(inventory, document) is None
        sys.stdout.write("!")
        sys.stdout.flush()
"""


@pytest.mark.parametrize("wanted", [100, pytest.param(10_000, marks=pytest.mark.thorough)], ids=str)
def test_file_is_whole_through_publications_and_kills(
    inventory: Inventory, path: Path, wanted: int
) -> None:
    documents = [document(inventory, colour) for colour in (Colour.RED, Colour.UNKNOWN)]
    command = [sys.executable, "-c", PUBLISHER, inventory.path, json.dumps(documents)]
    write_metrics(inventory, documents[0])
    published = kills = 0
    while published < wanted or kills < 2:
        with subprocess.Popen(command, stdout=subprocess.PIPE) as publisher:
            assert publisher.stdout is not None
            before = published
            while published < before + max(wanted // 8, 50):
                assert verdict_in(path) in ("red", "unknown")
                published += len(os.read(publisher.stdout.fileno(), 65536))
            publisher.kill()
            kills += 1
    assert verdict_in(path) in ("red", "unknown")
    write_metrics(inventory, documents[0])
    assert [] == [name for name in os.listdir(path.parent) if name.endswith(".new")]


def test_without_the_key_nothing_is_written(vm: Vm) -> None:
    inventory = load(str(vm.inventory))
    before = sorted(os.listdir(vm.root))
    assert write_metrics(inventory, document(inventory)) is None
    published(inventory, gate(), ())
    assert {*before, "state"} == set(os.listdir(vm.root))
