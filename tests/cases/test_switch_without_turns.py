"""``switch`` of a session of which no turn is on disk: refused, unless a person says so."""

from __future__ import annotations

import shutil

import pytest

from tests.cases.vm import Work, said
from tests.vm import Vm, wait_until

PUBLIC = "anthropics/claude-code#73848, #71496, #77732"
REFUSED = "work: primary -> backup: refused; nothing was changed"
FOUND = "its conversation {conversation} had turns, and there is no transcript of it any longer"
ANYWAY = "work: primary -> backup: switched, without its conversation"
EMPTY = "work: primary -> backup: switched; its conversation {conversation} had no turns"
SWITCHED = "work: primary -> backup: switched, with conversation {conversation}"


@pytest.fixture
def forgetful(vm: Vm) -> Work:
    """Return a session whose client runs on after its transcript was removed, and writes none."""
    work = Work(vm)
    (vm.root / "once").touch()  # or it would write on, into a new file
    work.up()
    for folder in vm.target("projects").iterdir():
        shutil.rmtree(folder)
    return work


def test_switch_is_refused_while_the_turns_are_missing(forgetful: Work) -> None:
    work, conversation = forgetful, forgetful.conversation
    done = work.vm.run("switch", "work", "backup")
    assert REFUSED in said(done)
    assert any(FOUND.format(conversation=conversation) in line for line in said(done)), said(done)
    assert (1, ["primary"]) == (done.returncode, work.homes)


def test_switch_without_conversation_begins_anew_and_says_so(forgetful: Work) -> None:
    done = forgetful.vm.run("switch", "work", "backup", "--without-conversation")
    assert ANYWAY in said(done)
    assert (0, ["backup"]) == (done.returncode, forgetful.homes)


def test_session_that_never_had_a_turn_moves_as_an_empty_one(vm: Vm) -> None:
    work = Work(vm)
    (vm.root / "silent").touch()  # nobody types anything
    work.up()
    done = vm.run("switch", "work", "backup")
    assert EMPTY.format(conversation=work.conversation) in said(done)
    assert (0, ["backup"]) == (done.returncode, work.homes)


def test_session_with_turns_moves_with_them(vm: Vm) -> None:
    work = Work(vm)
    work.up()
    done = vm.run("switch", "work", "backup")
    assert SWITCHED.format(conversation=work.conversation) in said(done)
    assert (0, ["backup"]) == (done.returncode, work.homes)
    wait_until(lambda: len(work.transcripts) == 1, "it goes on in its one transcript")
    work.assert_one_writer_of_all_turns()
