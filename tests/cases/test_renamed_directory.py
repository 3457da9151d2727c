"""A project is moved, and the inventory follows: its conversation is not left in silence."""

from __future__ import annotations

import json
import shutil

import pytest

from tests.cases.vm import Work, said
from tests.vm import Vm, wait_until

PUBLIC = "anthropics/claude-code#27473, #86713, #91735, #83146"
RENAMED = "; it goes on with conversation {before} of {old}, renamed since"
COPIED = "its conversation {before} is of {old}, its directory until now; it goes on with {now}"
RESUMES = 'write conversation = "{before}" for the session work in {inventory};'


def test_conversation_goes_on_in_a_directory_that_was_renamed(vm: Vm) -> None:
    work, before = _had_a_conversation(vm)
    old = work.directory
    work.directory = old.rename(vm.root / "project")
    work.write()
    done = vm.run("up")
    (line,) = [line for line in said(done) if line.startswith("  work ")]
    assert line.endswith(RENAMED.format(before=before, old=old))
    wait_until(lambda: work.pids, "its client runs")
    assert (0, {before}) == (done.returncode, {path.stem for path in work.transcripts})
    work.assert_one_writer_of_all_turns()


@pytest.mark.thorough
def test_conversation_of_another_directory_is_told_with_how_to_resume_it(vm: Vm) -> None:
    """The project was copied, and the inventory names the copy: which is meant nobody knows."""
    work, before = _had_a_conversation(vm)
    old = work.directory
    work.directory = vm.root / "copy"
    shutil.copytree(old, work.directory)
    work.write()
    names = {"before": before, "old": old, "now": work.conversation, "inventory": vm.inventory}
    for verb in ("up", "check"):
        document = json.loads(vm.run(verb, "--json").stdout)
        (warned,) = [one for one in document["warnings"] if one["session"] == "work"]
        assert COPIED.format(**names) == warned["found"]
        assert RESUMES.format(**names) in warned["fix"]
        assert "green" == document["verdict"]
    work.assert_one_writer_of_all_turns()


@pytest.mark.thorough
def test_directory_that_stays_is_nothing_to_tell(vm: Vm) -> None:
    work, before = _had_a_conversation(vm)
    work.up()
    done = vm.run("check")
    assert 0 == done.returncode
    assert not [line for line in said(done) if "conversation" in line]
    assert [before] == [path.stem for path in work.transcripts]
    work.assert_one_writer_of_all_turns()


def _had_a_conversation(vm: Vm) -> tuple[Work, str]:
    """Return a session that had turns and does not run, and the id of its conversation."""
    work = Work(vm)
    work.up()
    assert 0 == vm.run("check").returncode
    work.down()
    return work, work.conversation
