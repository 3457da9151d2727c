"""``switch`` of a session of which no turn is on disk: refused, unless a person says so."""

from __future__ import annotations

import shutil

import pytest

from tests.cases.vm import Work, said
from tests.vm import Vm, wait_until

PUBLIC = "anthropics/claude-code#73848, #71496, #77732"
REFUSED = "work: primary -> backup: refused: 1 in the way; nothing was changed"
FOUND = "    found     its conversation {conversation} had turns, and its transcript is gone"
ANYWAY = "work: primary -> backup: switched, without a conversation: nothing was said yet ({now})"
SWITCHED = "work: primary -> backup: switched, with conversation {conversation}"


@pytest.fixture
def forgetful(vm: Vm) -> Work:
    """Return a session whose client runs on after its transcript was removed, and writes none."""
    work = Work(vm)
    (vm.root / "once").touch()  # or it would write on, into a new file
    work.up()
    assert 0 == vm.run("check").returncode  # it sees that there is a turn
    for folder in vm.target("projects").iterdir():
        shutil.rmtree(folder)
    return work


@pytest.mark.thorough
def test_switch_is_refused_while_the_turns_are_missing(forgetful: Work) -> None:
    work, conversation = forgetful, forgetful.conversation
    done = work.vm.run("switch", "work", "backup")
    assert REFUSED in said(done)
    assert FOUND.format(conversation=conversation) in said(done), said(done)
    assert (1, ["primary"]) == (done.returncode, work.homes)


@pytest.mark.thorough
def test_switch_without_conversation_begins_anew_and_says_so(forgetful: Work) -> None:
    done = forgetful.vm.run("switch", "work", "backup", "--without-conversation")
    wait_until(lambda: forgetful.transcripts, "the new conversation has a turn")
    (now,) = [path.stem for path in forgetful.transcripts]
    assert forgetful.conversation != now
    assert ANYWAY.format(now=now) in said(done)
    assert (0, ["backup"]) == (done.returncode, forgetful.homes)


@pytest.mark.thorough
def test_session_that_never_had_a_turn_moves_as_an_empty_one(vm: Vm) -> None:
    work = Work(vm)
    (vm.root / "silent").touch()  # nobody types anything
    work.up()
    done = vm.run("switch", "work", "backup")
    assert ANYWAY.format(now=work.conversation) in said(done)
    assert (0, ["backup"]) == (done.returncode, work.homes)


@pytest.mark.thorough
def test_session_with_turns_moves_with_them(vm: Vm) -> None:
    work = Work(vm)
    work.up()
    done = vm.run("switch", "work", "backup")
    assert SWITCHED.format(conversation=work.conversation) in said(done)
    assert (0, ["backup"]) == (done.returncode, work.homes)
    wait_until(lambda: len(work.transcripts) == 1, "it goes on in its one transcript")
    work.assert_one_writer_of_all_turns()
