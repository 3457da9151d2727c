"""``ensure``: what is created, what is refused, and that a refusal writes nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from time import monotonic

import pytest

from invariants.inventory import load
from invariants.places import Places
from launcher import provision
from launcher.errors import Interrupted, NotJudged
from launcher.interrupts import Interrupts
from launcher.provision import EntriesRefused, ensure, ensure_for_account
from tests.vm import LINKS, UNPRIVILEGED, Vm, snapshot, wait_until


def ensure_all(vm: Vm, *, create_homes: bool = False, dry_run: bool = False) -> list[str]:
    inventory = load(str(vm.inventory))
    actions = ensure(
        inventory.accounts, inventory.links, create_homes=create_homes, dry_run=dry_run
    )
    return [str(action) for action in actions]


def refused(vm: Vm, *, create_homes: bool = False) -> list[tuple[str, str]]:
    before = snapshot(vm.root)
    with pytest.raises(EntriesRefused) as refusal:
        ensure_all(vm, create_homes=create_homes)
    assert before == snapshot(vm.root), "a refusal wrote something"
    return [(finding.place, finding.state) for finding in refusal.value.findings]


@pytest.fixture
def bare(make_vm: Callable[..., Vm]) -> Vm:
    return make_vm()


def test_everything_missing_is_created_once(bare: Vm) -> None:
    targets = [f"directory {bare.target(link)}" for link in LINKS]
    links = [
        f"{bare.entry(account, link)} -> {bare.target(link)}"
        for account in bare.accounts
        for link in LINKS
    ]
    assert [f"directory {bare.shared}", *targets, *links] == ensure_all(bare)
    assert [] == ensure_all(bare)


def test_dry_run_tells_the_same_and_writes_nothing(bare: Vm) -> None:
    before = snapshot(bare.root)
    plan = ensure_all(bare, dry_run=True)
    assert before == snapshot(bare.root)
    assert plan == ensure_all(bare)


def test_every_refusal_is_told_at_once_and_nothing_is_written(bare: Vm) -> None:
    """Though links and targets are missing beside what is in the way."""
    bare.entry("primary", "projects").write_text("x")
    bare.entry("backup", "projects").mkdir()
    bare.entry("backup", "session-env").symlink_to("nonexistent")
    os.mkfifo(bare.entry("backup", "file-history"))
    assert [
        ("primary projects", "file"),
        ("backup session-env", "divergent"),
        ("backup file-history", "special"),
        ("backup projects", "empty-directory"),
    ] == refused(bare)


def test_missing_home_is_refused_since_it_may_be_a_typo(bare: Vm) -> None:
    bare.home("backup").rmdir()
    assert [("home of backup", "missing")] == refused(bare)


def test_missing_home_is_created_where_that_is_asked_for(bare: Vm) -> None:
    bare.home("backup").rmdir()
    ensure_all(bare, create_homes=True)
    assert 0o40700 == bare.home("backup").stat().st_mode
    assert 0 == bare.run("check").returncode


def test_home_that_is_a_dangling_symlink_is_refused_even_then(bare: Vm) -> None:
    bare.home("backup").rmdir()
    bare.home("backup").symlink_to("nonexistent/home")
    assert [("home of backup", "missing")] == refused(bare, create_homes=True)


def test_home_that_others_can_write_is_refused(vm: Vm) -> None:
    vm.home("backup").chmod(0o777)
    assert [("home of backup", "writable-by-others")] == refused(vm)


def test_home_that_is_a_file_is_refused_once(bare: Vm) -> None:
    bare.home("backup").rmdir()
    bare.home("backup").write_text("x")
    assert [("home of backup", "not-a-directory")] == refused(bare)


def test_target_that_is_no_directory_is_refused(bare: Vm) -> None:
    bare.shared.mkdir()
    bare.target("projects").write_text("x")
    assert [("target of projects", "not-a-directory")] == refused(bare)


def test_target_that_is_a_symlink_is_refused_once(vm: Vm) -> None:
    vm.target("projects").rmdir()
    vm.target("projects").symlink_to(vm.root)
    assert [("target of projects", "symlink")] == refused(vm)


def test_what_appears_between_plan_and_write_is_not_overwritten(
    bare: Vm, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = bare.entry("backup", "projects")
    real = os.symlink

    def claude_was_faster(text: str, path: str) -> None:
        if path == str(entry):
            entry.mkdir()
            (entry / "conversation.jsonl").write_text("{}")
        real(text, path)

    monkeypatch.setattr(os, "symlink", claude_was_faster)
    with pytest.raises(EntriesRefused) as refusal:
        ensure_all(bare)
    assert ["real-directory"] == [finding.state for finding in refusal.value.findings]
    assert "{}" == (entry / "conversation.jsonl").read_text()
    assert str(entry) not in [action.path for action in refusal.value.done]
    assert 9 == len(refusal.value.done)


def test_right_link_that_appears_in_between_is_fine(
    bare: Vm, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.symlink

    def somebody_was_faster(text: str, path: str) -> None:
        real(text, path)
        real(text, path)

    monkeypatch.setattr(os, "symlink", somebody_was_faster)
    ensure_all(bare)
    monkeypatch.undo()
    assert [] == ensure_all(bare)


def test_what_came_and_went_in_between_is_told(bare: Vm, monkeypatch: pytest.MonkeyPatch) -> None:
    def there_for_a_moment(text: str, path: str) -> None:
        raise FileExistsError

    monkeypatch.setattr(os, "symlink", there_for_a_moment)
    with pytest.raises(EntriesRefused) as refusal:
        ensure_all(bare)
    assert {"it came and went"} == {finding.found for finding in refusal.value.findings}


def test_what_the_system_refuses_is_told_once_per_cause(bare: Vm) -> None:
    """The targets cannot be created; the links to them are not tried, and not told."""
    bare.root.joinpath("closed").mkdir(mode=0o500)
    bare.shared = bare.root / "closed" / "shared"
    bare.write()
    result = bare.run("ensure", prefix=UNPRIVILEGED)
    assert 1 == result.returncode
    assert 1 == result.stdout.count("Permission denied")
    assert f"directory {bare.shared}" in result.stdout
    assert [] == list(bare.home("primary").iterdir())


def test_accounts_can_be_named(bare: Vm) -> None:
    assert 0 == bare.run("ensure", "backup").returncode
    assert [] == list(bare.home("primary").iterdir())
    assert 3 == len(list(bare.home("backup").iterdir()))
    wrong = bare.run("ensure", "bakcup")
    assert (2, "") == (wrong.returncode, wrong.stdout)
    assert "launcher: there is no account bakcup; there are primary, backup\n" == wrong.stderr


def test_two_runs_at_once_end_well(bare: Vm) -> None:
    """Many, in fact; each ends with 0, and together they create each thing once."""
    command = [sys.executable, "-m", "launcher", "--inventory", str(bare.inventory), "ensure"]
    runs = [
        subprocess.Popen(
            command, env=bare.environ, cwd=bare.root, text=True, stdout=subprocess.PIPE
        )
        for _ in range(6)
    ]
    outputs = [run.communicate(timeout=60)[0] for run in runs]
    assert [0] * 6 == [run.returncode for run in runs]
    assert 10 == "".join(outputs).count("created ")


def test_without_a_lock_two_runs_still_end_well(bare: Vm) -> None:
    """``ensure_for_account`` may be called by a program that knows of no lock."""
    script = (
        "import os, sys\n"
        "from invariants.inventory import load\n"
        "from launcher.provision import ensure\n"
        "inventory = load(sys.argv[1])\n"
        "while not os.path.exists(sys.argv[2]): pass\n"
        "ensure(inventory.accounts, inventory.links)\n"
    )
    go = bare.root / "go"
    command = [sys.executable, "-c", script, str(bare.inventory), str(go)]
    runs = [subprocess.Popen(command, env=bare.environ) for _ in range(2)]
    wait_until(lambda: len(bare.processes()) == 2, "both run")
    go.touch()
    assert [0, 0] == [run.wait(60) for run in runs]
    assert [] == ensure_all(bare)


def test_umask_does_not_open_targets(bare: Vm, monkeypatch: pytest.MonkeyPatch) -> None:
    before = os.umask(0)
    try:
        ensure_all(bare)
    finally:
        os.umask(before)
    assert 0o40700 == bare.target("projects").stat().st_mode


def hung(vm: Vm) -> tuple[Path, Path]:
    """Deploy a copy that hangs at a target as a dead mount does; return it, and its mark."""
    code, mark = vm.deploy(), vm.root / "hangs"
    targets = code / "invariants" / "targets.py"
    look = "            status = os.lstat(target)\n"
    source = targets.read_text()
    assert look in source
    hang = (
        f"            open({str(mark)!r}, 'w').close()\n            __import__('signal').pause()\n"
    )
    targets.write_text(source.replace(look, hang + look))
    return code, mark


@pytest.mark.parametrize("arguments", [[], ["--dry-run"]])
@pytest.mark.thorough
def test_hung_target_is_given_up_on_within_the_limit(bare: Vm, arguments: list[str]) -> None:
    code = hung(bare)[0]
    bare.write(timeout=1)
    started = monotonic()
    result = bare.run("ensure", *arguments, cwd=code)
    assert (70, "") == (result.returncode, result.stdout)
    assert "launcher: no answer within 1 s: a file system may hang\n" == result.stderr
    assert monotonic() - started < 10
    assert not bare.shared.exists()
    assert [] == list(bare.home("primary").iterdir())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signal_is_heard_while_a_target_hangs(bare: Vm, number: signal.Signals) -> None:
    code, mark = hung(bare)
    bare.write(timeout=300)
    command = [sys.executable, "-m", "launcher", "--inventory", str(bare.inventory), "ensure"]
    with subprocess.Popen(
        command, env=bare.environ, cwd=code, text=True, stdout=-1, stderr=-1, process_group=0
    ) as process:
        try:
            wait_until(mark.exists, "the target hangs")
            process.send_signal(number)
            told = process.communicate(timeout=20)
        finally:
            process.kill()
    assert ("", f"launcher: interrupted by {number.name}\n") == told
    assert 128 + number == process.returncode
    wait_until(lambda: not bare.processes(), "what hung is ended", seconds=5)


def hang(*arguments: object) -> None:
    while True:
        signal.pause()


def test_program_that_ensures_an_account_is_not_hung(
    vm: Vm, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(provision, "_plan", hang)
    inventory = load(str(vm.inventory))
    started = monotonic()
    with pytest.raises(NotJudged, match=r"no answer within 0\.3 s"):
        ensure_for_account(inventory.account("backup"), inventory.links, timeout=0.3)
    assert monotonic() - started < 5


def test_interrupts_of_a_program_are_heard(vm: Vm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provision, "_plan", hang)
    inventory = load(str(vm.inventory))
    with Interrupts() as interrupts:
        os.kill(os.getpid(), signal.SIGTERM)
        with pytest.raises(Interrupted, match="SIGTERM"):
            ensure(inventory.accounts, inventory.links, interrupts=interrupts)


@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
def test_any_thread_may_ensure_an_account(bare: Vm) -> None:
    """With the two arguments of the contract, and handlers of signals left as they are."""
    inventory = load(str(bare.inventory))
    created: list[str] = []

    def work() -> None:
        actions = ensure_for_account(inventory.account("backup"), inventory.links)
        created.extend(action.path for action in actions)

    before = signal.getsignal(signal.SIGINT)
    thread = threading.Thread(target=work)
    thread.start()
    thread.join(60)
    assert before is signal.getsignal(signal.SIGINT)
    assert [str(bare.entry("backup", link)) for link in LINKS] == created[-3:]
    assert 3 == len(list(bare.home("backup").iterdir()))


def test_named_account_is_compared_with_those_that_are_not(bare: Vm) -> None:
    """A home that is missing is not created inside another's."""
    bare.home("backup").rmdir()
    (bare.root / "alias").symlink_to(bare.home("primary"))
    text = bare.inventory.read_text()
    bare.inventory.write_text(text.replace(str(bare.home("backup")), f"{bare.root}/alias/inner"))
    result = bare.run("ensure", "--create-homes", "backup")
    assert 1 == result.returncode
    assert "home of backup: inside-home\n" in result.stdout
    assert [] == list(bare.home("primary").iterdir())


def test_plan_is_what_is_carried_out(bare: Vm) -> None:
    """Seen in this process; ``ensure`` makes its plan in another."""
    bare.home("backup").rmdir()
    bare.entry("primary", "projects").write_text("x")
    inventory = load(str(bare.inventory))
    accounts, links = list(inventory.accounts), list(inventory.links)
    places = Places(accounts, links)
    actions, findings = provision._plan(accounts, links, places, True, "")
    assert ["primary projects"] == [finding.place for finding in findings]
    assert str(bare.home("backup")) in [action.path for action in actions]
    bare.entry("primary", "projects").unlink()
    bare.target("projects").parent.mkdir()
    bare.target("projects").write_text("x")
    actions, findings = provision._plan(accounts, links, Places(accounts, links), False, "")
    assert ["target of projects", "home of backup"] == [finding.place for finding in findings]
    assert bare.entry("primary", "projects") in [Path(action.path) for action in actions]


def test_refusal_reads_as_a_list_of_findings(vm: Vm) -> None:
    vm.diverge()
    with pytest.raises(EntriesRefused, match=r"backup projects: divergent\n  expected  symlink to"):
        ensure_all(vm)


def test_plan_names_nothing_twice(tmp_path: Path) -> None:
    planned = [provision.Action(f"{tmp_path}/a")]
    more = provision._directories(f"{tmp_path}/a/b", planned)
    assert [tmp_path / "a/b"] == [Path(action.path) for action in more]
