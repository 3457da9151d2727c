"""The transcript of a conversation that had turns is gone: that another one begins is said."""

from __future__ import annotations

import json
import shutil

import pytest

from tests.cases.vm import Work, said
from tests.vm import Vm, wait_until

PUBLIC = "anthropics/claude-code#74798, #90148, #70674"
GONE = "its conversation {conversation} had turns, and its transcript is gone"
WARNED = f"{GONE}; it goes on with {{now}}"


@pytest.mark.thorough
def test_conversation_whose_transcript_is_gone_is_told_by_name(vm: Vm) -> None:
    work = Work(vm)
    work.up()
    assert 0 == vm.run("check").returncode
    work.down()
    for folder in vm.target("projects").iterdir():
        shutil.rmtree(folder)
    done = vm.run("up")
    gone = GONE.format(conversation=work.conversation)
    assert [True] == [line.endswith(gone) for line in said(done) if line.startswith("  work ")]
    wait_until(lambda: work.transcripts, "the new conversation has a turn")
    (now,) = [path.stem for path in work.transcripts]
    assert work.conversation != now
    checked = json.loads(vm.run("check", "--json").stdout)
    found = WARNED.format(conversation=work.conversation, now=now)
    assert [found] == [one["found"] for one in checked["warnings"] if one["session"] == "work"]


def test_conversation_that_never_had_a_turn_is_nothing_to_tell(vm: Vm) -> None:
    Work(vm)
    done = vm.run("up")
    assert 0 == done.returncode
    assert not [line for line in said(done) if "transcript" in line], said(done)


@pytest.mark.thorough
def test_conversation_whose_transcript_is_there_goes_on(vm: Vm) -> None:
    work = Work(vm)
    work.up()
    work.down()
    done = vm.run("up")
    assert 0 == done.returncode
    assert not [line for line in said(done) if "transcript" in line], said(done)
    assert [work.conversation] == [path.stem for path in work.transcripts]
    work.assert_one_writer_of_all_turns()
