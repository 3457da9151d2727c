"""What Claude Code keeps of a session cannot be written: no turn is kept, and nothing says so."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from invariants.folders import folder_of
from tests import client
from tests.cases.vm import Work, said
from tests.healthy.world import UID, World
from tests.places import NEEDS_ROOT
from tests.vm import UNPRIVILEGED, Vm

PUBLIC = "AutoMaker-Org/automaker#748, jedi4ever/addt#4, schmitthub/clawker PR#269"
SOMEBODY = UID + 1


class Kept:
    """A session that had a conversation and is stopped, and where Claude Code keeps that."""

    def __init__(self, vm: Vm) -> None:
        vm.prefix = [*UNPRIVILEGED]  # permissions count for this launcher
        self.work = Work(vm)
        self.work.up()
        self.work.down()
        self.folder = vm.target("projects") / str(folder_of(str(self.work.directory)))
        (self.transcript,) = self.work.transcripts
        assert self.folder == self.transcript.parent
        conversation = self.work.conversation
        self.undo = vm.target("file-history") / conversation
        self.environment = vm.target("session-env") / conversation
        for path in (self.undo, self.environment):
            path.mkdir(mode=0o700)


@pytest.fixture
def kept(vm: Vm) -> Iterator[Kept]:
    made = Kept(vm)
    yield made
    for path in (made.folder, made.undo, made.environment):
        if path.is_dir() and not path.is_symlink():
            path.chmod(0o700)


def moded(name: str, mode: int) -> Callable[[Kept], tuple[str, str]]:
    def make(kept: Kept) -> tuple[str, str]:
        path: Path = getattr(kept, name)
        path.chmod(mode)
        owner = "owner root" if os.geteuid() == 0 else f"owner {os.environ.get('USER')}"
        return f"{path}: {owner}, mode {mode:04o}", f"chmod u+rwX {path}"

    return make


def folder_and_transcript(kept: Kept) -> tuple[str, str]:
    inner, outer = moded("transcript", 0o444)(kept), moded("folder", 0o555)(kept)
    return f"{outer[0]}; {inner[0]}", f"{outer[1]} {kept.transcript}"


def two_of_them(kept: Kept) -> tuple[str, str]:
    one, other = moded("undo", 0o500)(kept), moded("environment", 0o500)(kept)
    return f"{other[0]}; {one[0]}", f"{other[1]} {kept.undo}"


def a_file(kept: Kept) -> tuple[str, str]:
    kept.undo.rmdir()
    kept.undo.touch()
    return f"{kept.undo}: not a directory", f"mkdir {kept.undo}.aside && "


def dangling(kept: Kept) -> tuple[str, str]:
    shutil.rmtree(kept.folder)
    kept.folder.symlink_to("nowhere")
    words = "a symlink to nowhere, which does not exist"
    return f"{kept.folder}: {words}", f"mkdir {kept.folder}.aside && "


def a_directory(kept: Kept) -> tuple[str, str]:
    kept.transcript.unlink()
    kept.transcript.mkdir()
    return f"{kept.transcript}: no regular file", f"mkdir {kept.transcript}.aside && "


FAULTS = {
    "folder": (moded("folder", 0o555), "no-access"),
    "folder not to be entered": (moded("folder", 0o600), "no-access"),
    "folder and transcript": (folder_and_transcript, "no-access"),
    "transcript": (moded("transcript", 0o444), "no-access"),
    "undo": (moded("undo", 0o500), "no-access"),
    "variables": (moded("environment", 0o500), "no-access"),
    "two of them": (two_of_them, "no-access"),
    "a file for a folder": (a_file, "not-a-directory"),
    "a symlink to nowhere": (dangling, "not-a-directory"),
    "a directory for the transcript": (a_directory, "not-a-file"),
}


@pytest.mark.parametrize("what", FAULTS)
@pytest.mark.sampled(1)
def test_session_whose_turns_could_not_be_kept_is_red_and_not_started(
    vm: Vm, kept: Kept, what: str
) -> None:
    make, state = FAULTS[what]
    found, fix = make(kept)
    for verb in (["check"], ["up"], ["run", "backup", "--", "touch", str(vm.root / "ran")]):
        done = vm.run(*verb)
        lines = [line.removeprefix("launcher: ") for line in said(done)]
        assert 1 == done.returncode, lines
        at = lines.index(f"  session work: {state}")
        user = "root" if os.geteuid() == 0 else os.environ.get("USER")
        wanted = f"what Claude Code keeps of the session can be entered and written by {user}"
        assert [f"    expected  {wanted}", f"    found     {found}"] == lines[at + 1 : at + 3]
        assert lines[at + 3].startswith(f"    fix       {fix}"), lines
        assert 1 == len(vm.report["failures"])
    assert [] == kept.work.pids
    assert not (vm.root / "ran").exists()


@pytest.mark.thorough
def test_fix_that_is_printed_mends_it_and_the_conversation_goes_on(vm: Vm, kept: Kept) -> None:
    kept.transcript.chmod(0o444)
    kept.undo.chmod(0o500)
    while 1 == vm.run("check").returncode:
        (failure,) = vm.report["failures"]
        assert 0 == vm.shell(failure["fix"]).returncode, failure
    before = kept.transcript.stat().st_size
    kept.work.up()
    assert before < kept.transcript.stat().st_size
    kept.work.assert_one_writer_of_all_turns()


@pytest.fixture
def world() -> Iterator[World]:
    made = World()
    yield made
    made.close()


@NEEDS_ROOT
@pytest.mark.parametrize("mode", ["755", "700"])
@pytest.mark.thorough
def test_folder_that_is_root_s_after_a_sudo_is_red_for_its_user(world: World, mode: str) -> None:
    vm = world.vm
    vm.write({"work": [str(client.install(vm))]})
    folder = vm.target("projects") / str(folder_of(str(vm.root)))
    world.enter(f"mkdir -m {mode} {folder}", uid=UID)
    assert 1 == vm.run("up").returncode
    (failure,) = vm.report["failures"]
    assert ("no-access", f"{folder}: owner root, mode 0{mode}") == (
        failure["state"],
        failure["found"],
    )
    assert f"sudo chown -R {UID} {folder}" == failure["fix"]
    assert 0 == subprocess.run(failure["fix"].removeprefix("sudo "), shell=True).returncode
    assert 0 == vm.run("up").returncode


@NEEDS_ROOT
@pytest.mark.parametrize(
    ("mounted", "state"), [("ro", "read-only"), ("nosymfollow", None), ("noexec", None)]
)
def test_folder_that_is_mounted_for_itself_must_be_writable(
    world: World, mounted: str, state: str | None
) -> None:
    vm = world.vm
    vm.write({"work": [str(client.install(vm))]})
    folder = vm.target("projects") / str(folder_of(str(vm.root)))
    folder.mkdir()
    bind = [f"mount --bind {folder} {folder}", f"mount -o remount,bind,{mounted} {folder}"]
    world.enter(*bind, uid=UID)
    assert (0 if state is None else 1) == vm.run("check").returncode
    wanted = [] if state is None else [(state, f"{folder}: on a read-only file system")]
    assert wanted == [(one["state"], one["found"]) for one in vm.report["failures"]]


def unmade(kept: Kept) -> None:
    for path in (kept.folder, kept.undo, kept.environment):
        shutil.rmtree(path)


def of_a_group(kept: Kept) -> None:
    """Let folders be another user's, and a group's that this one is in."""
    for path in (kept.folder, kept.undo):
        os.chown(path, SOMEBODY, os.getegid())
        path.chmod(0o2770)
    os.chown(kept.transcript, SOMEBODY, os.getegid())
    kept.transcript.chmod(0o660)


def closed_to_others(kept: Kept) -> None:
    kept.folder.chmod(0o700)
    kept.transcript.chmod(0o600)


def open_to_others(kept: Kept) -> None:
    kept.folder.chmod(0o777)


def elsewhere_over_a_symlink(kept: Kept) -> None:
    real = kept.folder.rename(kept.folder.with_name("-real"))
    kept.folder.symlink_to(real.name)


def of_another_conversation(kept: Kept) -> None:
    for target in (kept.undo.parent, kept.folder):
        (target / "11111111-2222-4333-8444-555555555555").mkdir(mode=0)


HEALTHY = [
    unmade,
    pytest.param(of_a_group, marks=NEEDS_ROOT),
    closed_to_others,
    open_to_others,
    elsewhere_over_a_symlink,
    of_another_conversation,
]


@pytest.mark.parametrize("make", HEALTHY)
@pytest.mark.thorough
def test_what_can_be_written_is_green_whoever_s_it_is(
    vm: Vm, kept: Kept, make: Callable[[Kept], None]
) -> None:
    make(kept)
    done = vm.run("check")
    assert 0 == done.returncode, said(done)
    kept.work.up()


def test_session_that_is_no_claude_code_has_no_such_folder(vm: Vm) -> None:
    vm.prefix = [*UNPRIVILEGED]
    vm.write({"api": ["sleep", "600"]})
    folder = vm.target("projects") / str(folder_of(str(vm.root)))
    folder.mkdir(mode=0o500)
    done = vm.run("check")
    assert 0 == done.returncode, said(done)
