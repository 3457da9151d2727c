"""``run`` starts no second writer of a conversation: it asks as ``up`` and ``switch`` do."""

from __future__ import annotations

import fcntl
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from launcher.errors import Locked, Refused
from launcher.interrupts import Interrupts
from launcher.run import as_the_only_writer
from tests import client
from tests.leaders import Leaders
from tests.places import NEEDS_ROOT, place
from tests.switching import Switching
from tests.test_notes import ID, note
from tests.vm import Vm, wait_until

TOUCH = '#!/bin/sh\necho "$@" > ran\n'


@pytest.fixture
def api(vm: Vm) -> Switching:
    """Return a green VM with a session ``api`` at its prompt, and a ``claude`` that is run by hand.

    What is run by hand only leaves a file: a second writer is what must never come to be.
    """
    made = Switching(vm)
    assert "started" == made.up().state
    hand = vm.root / "hand" / "claude"
    hand.parent.mkdir()
    hand.write_text(TOUCH)
    hand.chmod(0o700)
    return made


def by_hand(vm: Vm, *words: str, cwd: Path | None = None) -> tuple[int, bool, str]:
    """Run the ``claude`` by hand, under the other account; return code, whether it ran, words."""
    there = cwd or vm.root
    done = vm.run("run", "backup", "--", str(vm.root / "hand" / "claude"), *words, cwd=there)
    assert "" == done.stdout
    return done.returncode, (there / "ran").exists(), done.stderr


def ask(api: Switching, *command: str, inside: Callable[[], None] = lambda: None) -> None:
    """Ask as ``run`` does behind its gate, under the other account."""
    inventory = api.inventory
    with Interrupts() as interrupts:
        held = as_the_only_writer(
            command[0], command, inventory, inventory.accounts[1], api.vm.environ, interrupts
        )
        with held:
            inside()


def test_conversation_that_a_session_has_open_is_refused(api: Switching) -> None:
    (run,) = api.runs
    code, ran, words = by_hand(api.vm, "--resume", api.conversation)
    assert (1, False) == (code, ran)
    assert [
        "launcher: refused: two processes would write one transcript; nothing was run",
        f"launcher:   expected  no other process at the conversation {api.conversation}",
        f"launcher:   found     {run.process}, session api, account primary",
        f"launcher:   fix       launcher down api --inventory {api.vm.inventory}  # ends it",
        f"launcher:   look      {run.where}",
        f"launcher:   or        launcher switch api backup --inventory {api.vm.inventory}"
        "  # moves it",
        "launcher:   or        add --fork-session to the command: it begins a branch with an id "
        "of its own",
    ] == words.splitlines()
    assert "green" == api.vm.report["verdict"]
    assert {api.conversation: ["home-primary"]} == client.transcripts(api.vm)


def test_branch_of_it_and_another_conversation_are_let_through(api: Switching) -> None:
    for words in (["--resume", api.conversation, "--fork-session"], ["--resume", ID]):
        assert (0, True, "") == by_hand(api.vm, *words)
        (api.vm.root / "ran").unlink()


def test_conversation_whose_session_has_ended_is_let_through(api: Switching) -> None:
    conversation = api.conversation
    api.down()
    assert (0, True, "") == by_hand(api.vm, "--resume", conversation)


@pytest.mark.parametrize("word", ["--continue", "-c", "--resume", "-r"])
@pytest.mark.sampled(2)
def test_choice_is_refused_where_a_session_of_the_directory_lives(
    api: Switching, word: str
) -> None:
    code, ran, words = by_hand(api.vm, word)
    assert (1, False) == (code, ran)
    assert f"no Claude Code at work in this directory, since {word} may choose its" in words
    assert "session api, account primary\n" in words


def test_directory_by_another_path_name_is_the_same(api: Switching) -> None:
    alias = api.vm.root.parent / f"{api.vm.root.name}-alias"
    alias.symlink_to(api.vm.root)
    assert (1, False) == by_hand(api.vm, "-c", cwd=alias)[:2]


def test_choice_in_another_directory_is_let_through(api: Switching) -> None:
    elsewhere = api.vm.root / "elsewhere"
    elsewhere.mkdir()
    assert (0, True, "") == by_hand(api.vm, "-c", cwd=elsewhere)


@NEEDS_ROOT
@pytest.mark.parametrize("choice", ["--resume", "-c"])
def test_session_that_runs_out_of_sight_is_in_the_way_too(api: Switching, choice: str) -> None:
    words = [choice, *([api.conversation] if choice == "--resume" else [])]
    claude = str(api.vm.root / "hand" / "claude")
    with place(api.vm, "two") as two:
        there = [*two.prefix, "env", "-C", str(api.vm.root)]  # nsenter goes to the root
        done = api.vm.run("run", "backup", "--", claude, *words, prefix=there)
        assert (69, "") == (done.returncode, done.stdout)
        assert "found     session api runs out of sight in another container" in done.stderr
        assert "stop it there: launcher down api" in done.stderr
    assert not (api.vm.root / "ran").exists()
    assert 1 == len(api.runs)


def test_session_without_a_note_is_known_by_its_record(api: Switching) -> None:
    """2.0.76 notes nothing and overwrites its command line."""
    conversation = api.conversation
    for path in (api.vm.home("primary") / "sessions").glob("*.json"):
        path.unlink()
    api.write(command=[str(api.program), "--verbose"])
    with pytest.raises(Refused, match="session api, account primary"):
        ask(api, "claude", "--session-id", conversation)


def test_process_that_was_started_by_hand_is_in_the_way_too(
    api: Switching, leaders: Leaders
) -> None:
    process = leaders.run("sleep", "600")
    note(api.vm.home("backup"), process, cwd=str(api.vm.root / "by-hand"))
    found = rf"pid {process.pid} \(sleep\), account backup\n  fix       kill {process.pid}  # ends"
    with pytest.raises(Refused, match=found):
        ask(api, "claude", "--resume", ID)
    ask(api, "claude", "--resume", str(uuid4()))
    api.down()
    ask(api, "claude", "--continue")
    note(api.vm.home("backup"), process, cwd=os.getcwd())
    with pytest.raises(Refused, match=f"kill {process.pid}"):
        ask(api, "claude", "--continue")


def test_client_that_has_not_yet_said_what_it_opens_may_open_anything(
    api: Switching, leaders: Leaders, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between its start and its note, about a second, and while a person chooses."""
    api.down()
    monkeypatch.chdir(leaders.directory)
    script = 'import os; os.execv("/bin/sh", ["claude", "-c", "sleep 600; :"])'
    process = leaders.run(sys.executable, "-c", script)
    line = Path(f"/proc/{process.pid}/cmdline")
    wait_until(lambda: line.read_bytes().startswith(b"claude\0-c\0"), "it is called claude")
    for words in (["--continue"], ["--resume", ID]):
        with pytest.raises(Refused, match=f"kill {process.pid}"):
            ask(api, "claude", *words)
    monkeypatch.chdir(api.vm.root)
    ask(api, "claude", "--continue")


def test_launcher_that_waits_to_run_one_is_no_writer(api: Switching, leaders: Leaders) -> None:
    words = ["launcher", "run", "backup", "claude", "--resume", ID]
    process = leaders.run("sh", "-c", "sleep 600; :", *words)
    line = Path(f"/proc/{process.pid}/cmdline")
    wait_until(lambda: b"--resume" in line.read_bytes(), "what stands for it runs")
    ask(api, "claude", "--resume", ID)


def test_home_that_cannot_be_read_is_refused_with_the_reason(api: Switching) -> None:
    (api.vm.home("backup") / "sessions").symlink_to("sessions")
    with pytest.raises(Refused, match=f"whether {ID} is open is not known.*symbolic links"):
        ask(api, "claude", "--resume", ID)


def test_home_that_hangs_is_given_up_on(api: Switching, monkeypatch: pytest.MonkeyPatch) -> None:
    api.write(timeout=1)
    monkeypatch.setattr("launcher.holding.live_notes", lambda home: time.sleep(600))
    before = time.monotonic()
    with pytest.raises(Refused, match="no answer within 1 s"):
        ask(api, "claude", "--resume", ID)
    assert 20 > time.monotonic() - before


@pytest.fixture
def locked_elsewhere(api: Switching, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let another launcher hold the lock of all conversations."""
    monkeypatch.setattr("launcher.lock.PATIENCE", 0.1)
    descriptor = os.open(api.vm.target("projects"), os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    yield
    os.close(descriptor)


@pytest.mark.usefixtures("locked_elsewhere")
def test_start_that_is_under_way_is_waited_for(api: Switching) -> None:
    with pytest.raises(Locked):
        ask(api, "claude", "--resume", ID)


@pytest.mark.usefixtures("locked_elsewhere")
@pytest.mark.parametrize("command", [["ls"], ["claude"], ["grep", "-r", "claude"]])
def test_what_opens_no_conversation_is_asked_nothing(api: Switching, command: list[str]) -> None:
    ask(api, *command)


def test_lock_is_held_until_the_command_has_begun(api: Switching) -> None:
    descriptor = os.open(api.vm.target("projects"), os.O_RDONLY)

    def try_it() -> None:
        with pytest.raises(BlockingIOError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)

    ask(api, "claude", "--resume", ID, inside=try_it)
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.close(descriptor)
