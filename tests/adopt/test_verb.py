"""``launcher adopt``, as an operator runs it."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from invariants.links import LinkState, observe
from launcher.adopt import busy, swap, work
from launcher.cli import main
from launcher.errors import Interrupted, LauncherError, NotJudged
from launcher.interrupts import Interrupts
from tests.adopt.world import assert_whole, overlooking, read, write
from tests.vm import UNPRIVILEGED, Vm, snapshot


@pytest.fixture
def used(make_vm: Callable[..., Vm]) -> Vm:
    """Return a VM whose backup account was used before its links were there."""
    vm = make_vm().link()
    vm.entry("backup", "projects").unlink()
    write(vm.entry("backup", "projects"), {b"-x/1.jsonl": b"1\n", b"-x/2.jsonl": b"1\n2\n"})
    write(vm.target("projects"), {b"-x/2.jsonl": b"1\n"})
    return vm


Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    """Return a function that runs the verb in this process, which sees no processes but its own.

    The whole of it, as a program on a machine with all that runs there, is in the first test.
    """
    everyone = busy._processes
    monkeypatch.delenv("CLAUDE_CONFIG_DIR", raising=False)

    def children(interrupts: Interrupts) -> Iterator[busy._Process]:
        own = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
        return (one for one in everyone(interrupts) if str(one.pid) in own)

    monkeypatch.setattr(busy, "_processes", children)

    def call(vm: Vm, *arguments: str) -> subprocess.CompletedProcess[str]:
        for name, value in vm.environ.items():
            monkeypatch.setenv(name, value)
        words = ["--inventory", str(vm.inventory), "adopt", *arguments]
        try:
            code = main(words)
        except SystemExit as usage:
            code = int(usage.code or 0)
        return subprocess.CompletedProcess(words, code, *capfd.readouterr())

    return call


def test_what_the_gate_proposes_mends_it(used: Vm) -> None:
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return overlooking(lambda *more: used.run("adopt", *more, *arguments))

    red = used.run("check")
    assert 1 == red.returncode
    assert f"launcher adopt backup projects --inventory {used.inventory}" in red.stdout
    result = run("backup", "projects")
    assert 0 == result.returncode, result.stderr + result.stdout
    assert "1 file (2 bytes) taken over" in result.stdout
    assert 0 == used.run("check").returncode
    assert 0 == run("backup", "projects").returncode


def test_dry_run_writes_nothing_and_needs_no_lock(used: Vm, run: Run) -> None:
    before = snapshot(used.root)
    result = run(used, "--dry-run", "backup", "projects")
    assert 0 == result.returncode
    assert before == snapshot(used.root)
    assert "take over               -x/1.jsonl" in result.stdout
    assert "take the longer one     -x/2.jsonl" in result.stdout


def test_undo_by_the_command_that_the_outcome_names(used: Vm, run: Run) -> None:
    before = read(used.entry("backup", "projects"))
    assert 0 == run(used, "backup", "projects").returncode
    dry = run(used, "--undo", "backup", "projects", "--dry-run")
    assert "would put" in dry.stdout
    assert used.entry("backup", "projects").is_symlink()
    assert 0 == run(used, "--undo", "backup", "projects").returncode
    assert_whole(before, read(used.entry("backup", "projects")))
    again = run(used, "--undo", "backup", "projects")
    assert (1, True) == (again.returncode, "real-directory" in again.stdout)


def test_all_adopts_every_real_directory(used: Vm, run: Run) -> None:
    used.entry("primary", "file-history").unlink()
    used.entry("primary", "file-history").mkdir()
    used.entry("primary", "projects").unlink()
    write(used.entry("primary", "projects"), {b"-x/1.jsonl": b"1\n2\n"})
    assert 0 == run(used, "--all").returncode
    places = [(used.entry(name, link), used.target(link)) for name, link in ENTRIES]
    assert all(observe(str(e), str(t)).state is LinkState.SHARED for e, t in places)
    assert b"1\n2\n" == (used.target("projects") / "-x" / "1.jsonl").read_bytes()
    again = run(used, "--all")
    assert (0, True) == (again.returncode, "nothing to do: no entry" in again.stdout)


ENTRIES = [
    (name, link)
    for name in ("primary", "backup")
    for link in ("session-env", "file-history", "projects")
]


@pytest.mark.parametrize("error", [Interrupted(15, "SIGTERM"), NotJudged("no /proc")], ids=repr)
def test_what_was_adopted_before_the_end_is_told(
    used: Vm, run: Run, monkeypatch: pytest.MonkeyPatch, error: LauncherError
) -> None:
    """Where the old directory of the first one is, whatever became of the second."""
    used.entry("primary", "projects").unlink()
    used.entry("primary", "projects").mkdir()
    real, calls = swap.link_in, iter([None, error])

    def link_in(*arguments: Any) -> str:
        if (failure := next(calls)) is not None:
            raise failure
        return real(*arguments)

    monkeypatch.setattr(work, "link_in", link_in)
    result = run(used, "--all", "--json")
    assert result.returncode in (143, 70)
    document = json.loads(result.stdout)
    assert ["primary"] == [one["account"] for one in document["adopted"]]
    assert document["stopped"] in result.stderr.replace("launcher: ", "")


def test_entry_that_cannot_be_read_is_not_passed_over(
    used: Vm, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``--all`` cannot tell that it is no directory, so that it is not done."""
    real = os.lstat

    def lstat(path: Any, **named: Any) -> os.stat_result:
        if path == str(used.entry("backup", "projects")):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return real(path, **named)

    monkeypatch.setattr(os, "lstat", lstat)
    result = run(used, "--all")
    assert (1, True) == (result.returncode, "unreadable" in result.stdout)


def test_json_tells_numbers_and_places_but_no_content(used: Vm, run: Run) -> None:
    used.target("projects").joinpath("-x/1.jsonl").write_text("secret, and another")
    refused = json.loads(run(used, "--json", "backup", "projects").stdout)
    assert ["conflict"] == [one["state"] for one in refused["refused"]]
    result = run(used, "--json", "--keep-both", "backup", "projects")
    (adopted,) = json.loads(result.stdout)["adopted"]
    assert {"files": 1, "bytes": 2} == adopted["both_kept"]
    assert ["-x/1.jsonl"] == adopted["conflicts"]
    assert Path(adopted["old_directory"]).is_dir()
    assert Path(adopted["kept_directory"]).is_dir()
    assert "secret" not in result.stdout


def test_process_at_work_is_named_and_can_be_overlooked(used: Vm, run: Run) -> None:
    environ = {**used.environ, "CLAUDE_CONFIG_DIR": str(used.home("primary"))}
    sleeper = subprocess.Popen(["sleep", "600"], env=environ)
    try:
        result = run(used, "backup", "projects")
        assert 1 == result.returncode
        assert f"pid {sleeper.pid} (sleep): its CLAUDE_CONFIG_DIR is" in result.stdout
        assert f"--ignore-process {sleeper.pid}" in result.stdout
        option = ["--ignore-process", str(sleeper.pid)]
        assert 0 == run(used, *option, "backup", "projects").returncode
    finally:
        sleeper.kill()
        sleeper.wait()


STATES: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing": (lambda entry: None, "launcher ensure"),
    "file": (lambda entry: entry.write_text("x"), "mkdir "),
    "special": (os.mkfifo, "mkdir "),
    "divergent": (lambda entry: entry.symlink_to("nonexistent"), "mkdir "),
    "loop": (lambda entry: entry.symlink_to(entry), "mkdir "),
}


@pytest.mark.parametrize(("make", "fix"), STATES.values(), ids=list(STATES))
def test_what_is_no_directory_is_refused_with_what_can_be_done(
    vm: Vm, run: Run, make: Callable[[Path], object], fix: str
) -> None:
    entry = vm.entry("backup", "projects")
    entry.unlink()
    make(entry)
    before = snapshot(vm.home("backup"), vm.shared)
    result = run(vm, "backup", "projects")
    assert 1 == result.returncode
    assert fix in result.stdout
    assert before == snapshot(vm.home("backup"), vm.shared)


USAGE = [
    ["backup"],
    ["nobody", "projects"],
    ["backup", "nothing"],
    ["--all", "backup", "projects"],
    ["--undo", "--all"],
    [],
]


@pytest.mark.parametrize("arguments", USAGE, ids=lambda words: " ".join(words) or "none")
def test_wrong_usage_is_told(vm: Vm, run: Run, arguments: list[str]) -> None:
    assert 2 == run(vm, *arguments).returncode


def test_what_cannot_be_read_or_written_is_refused_before_anything_is(used: Vm, run: Run) -> None:
    (used.entry("backup", "projects") / "-x" / "1.jsonl").chmod(0)
    (used.entry("backup", "projects") / "new").write_text("x")
    used.target("projects").joinpath("-x").chmod(0o500)
    code = (
        "import sys; from launcher.adopt import work; from tests.adopt.world import Everyone; "
        "work.tenants = lambda *a: []; from launcher.cli import main; sys.exit(main())"
    )
    command = [*UNPRIVILEGED, sys.executable, "-c", code, "--inventory", str(used.inventory)]
    before = snapshot(used.home("backup"), used.shared)
    result = subprocess.run(
        [*command, "adopt", "backup", "projects"], capture_output=True, text=True, check=False
    )
    assert 1 == result.returncode, result.stderr
    assert "unreadable" in result.stdout
    assert "read-only" in result.stdout
    assert before == snapshot(used.home("backup"), used.shared)


def test_interrupt_leaves_it_safe_and_says_how_far_it_came(
    used: Vm, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = used.entry("backup", "projects")
    write(entry, {b"many/%d" % number: b"x" for number in range(20)})
    before, real = read(entry), os.link
    written = used.target("projects") / "many"

    def link(*arguments: Any, **named: Any) -> None:
        real(*arguments, **named)
        if written.exists() and len(os.listdir(written)) == 10:
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(os, "link", link)
    result = run(used, "backup", "projects")
    monkeypatch.setattr(os, "link", real)
    assert 143 == result.returncode
    assert "interrupted by SIGTERM: backup projects:" in result.stderr
    assert "files done; nothing is lost" in result.stderr
    assert 10 == len(os.listdir(written))
    assert before == read(entry)
    assert 0 == run(used, "backup", "projects").returncode
    after = read(used.target("projects"))
    assert {path for path in before if path.startswith(b"many")} <= after.keys()
