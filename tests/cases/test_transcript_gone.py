"""The transcript of a conversation that had turns is gone: that is told, not begun anew unsaid."""

from __future__ import annotations

import json
import shutil

from tests.cases.vm import Work, said
from tests.vm import Vm

PUBLIC = "anthropics/claude-code#74798, #90148, #70674"
FOUND = "its conversation {conversation} had turns, and there is no transcript of it any longer"


def test_conversation_whose_transcript_is_gone_is_told_by_name(vm: Vm) -> None:
    work = Work(vm)
    work.up()
    assert 0 == vm.run("check").returncode
    work.down()
    for folder in vm.target("projects").iterdir():
        shutil.rmtree(folder)
    found = FOUND.format(conversation=work.conversation)
    checked = json.loads(vm.run("check", "--json").stdout)
    assert [found] == [one["found"] for one in checked["warnings"] if one["session"] == "work"]
    done = vm.run("up")
    assert any(found in line for line in said(done)), said(done)


def test_conversation_that_never_had_a_turn_is_nothing_to_tell(vm: Vm) -> None:
    Work(vm)
    done = vm.run("up")
    assert 0 == done.returncode
    assert not [line for line in said(done) if "transcript" in line], said(done)


def test_conversation_whose_transcript_is_there_goes_on(vm: Vm) -> None:
    work = Work(vm)
    work.up()
    work.down()
    done = vm.run("up")
    assert 0 == done.returncode
    assert not [line for line in said(done) if "transcript" in line], said(done)
    assert [work.conversation] == [path.stem for path in work.transcripts]
    work.assert_one_writer_of_all_turns()
