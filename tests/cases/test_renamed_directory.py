"""A project is moved, and the inventory follows: the conversation of before is not forgotten."""

from __future__ import annotations

import json

import pytest

from tests.cases.vm import Work, said
from tests.vm import Vm

PUBLIC = "anthropics/claude-code#27473, #86713, #91735, #83146"
FOUND = (
    "its conversation {before} was held in {old}; the session now works in {new} and has another "
    "conversation"
)
FIX = "cd {new} && launcher run primary -- claude --resume {before}"


@pytest.mark.parametrize("verb", ["up", "check", "status"])
def test_conversation_in_the_directory_of_before_is_told_with_how_to_resume_it(
    vm: Vm, verb: str
) -> None:
    work = Work(vm)
    work.up()
    before, old = work.conversation, work.directory
    work.down()
    work.directory = old.rename(vm.root / "project")
    work.write()
    if verb != "up":
        work.up()
    done = vm.run(verb, "--json")
    document = json.loads(done.stdout)
    names = {"before": before, "old": old, "new": work.directory}
    warned = [one for one in document["warnings"] if one["session"] == "work"]
    assert [(FOUND.format(**names), True)] == [
        (one["found"], one["fix"].endswith(FIX.format(**names))) for one in warned
    ]
    assert (0, "green") == (done.returncode, document.get("verdict", "green"))
    work.assert_one_writer_of_all_turns()


def test_directory_that_stays_is_nothing_to_tell(vm: Vm) -> None:
    work = Work(vm)
    work.up()
    work.down()
    work.up()
    done = vm.run("check")
    assert 0 == done.returncode
    assert not [line for line in said(done) if "conversation" in line]
    assert 1 == len(work.transcripts)
    work.assert_one_writer_of_all_turns()
