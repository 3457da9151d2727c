"""Which conversation a session has: what begins, what is resumed, what is followed."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from uuid import UUID

import pytest

from invariants.inventory import Inventory, Session, load
from invariants.memory_rules import options_of
from launcher import records
from launcher.conversations import (
    Conversation,
    current_id,
    first_id,
    follow,
    look_up,
    look_up_within,
    projects_of,
)
from launcher.errors import NotJudged, Unavailable
from launcher.interrupts import Interrupts
from launcher.processes import Process
from launcher.remembered import remember
from launcher.sessions.survey import Survey
from tests import client
from tests.switching import Switching, use_quick_gate
from tests.vm import Vm, wait_until

OTHER = "11111111-2222-3333-4444-555555555555"
TURN = {"type": "user", "message": {"role": "user", "content": "hello"}}


def session_of(inventory: Inventory, **changes: object) -> Session:
    return inventory.sessions[0]._replace(**changes)  # type: ignore[arg-type]  # of a dataclass


@pytest.fixture
def inventory(vm: Vm) -> Inventory:
    vm.write({"api": ["claude"]})
    return load(str(vm.inventory))


def transcript(vm: Vm, conversation: str, *lines: object, folder: str = "work") -> Path:
    path = vm.target("projects") / folder / f"{conversation}.jsonl"
    path.parent.mkdir(exist_ok=True)
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    return path


def test_first_id_is_always_the_same_and_another_for_each_session(inventory: Inventory) -> None:
    session = session_of(inventory)
    assert first_id(session) == first_id(session_of(inventory, account="backup"))
    others = [session_of(inventory, name="web"), session_of(inventory, directory="/elsewhere")]
    assert 3 == len({first_id(one) for one in (session, *others)})
    assert first_id(session) == str(UUID(first_id(session)))


def test_conversation_is_begun_once_and_resumed_ever_after(vm: Vm, inventory: Inventory) -> None:
    session = session_of(inventory)
    found = look_up(inventory, session)
    assert Conversation(first_id(session), begun=False) == found
    assert ("--session-id", first_id(session)) == found.options
    transcript(vm, first_id(session), {"type": "mode"}, TURN, folder="-as-the-client-names-it")
    found = look_up(inventory, session)
    assert isinstance(found, Conversation)
    assert ("--resume", first_id(session)) == found.options


def test_torn_line_and_what_is_no_transcript_are_passed_over(vm: Vm, inventory: Inventory) -> None:
    session = session_of(inventory)
    path = transcript(vm, first_id(session), [], "text", {"type": "system"})
    path.write_text(f"{path.read_text()}{json.dumps(TURN)[:9]}\n{json.dumps(TURN)}\n")
    (vm.target("projects") / "a file").write_text("")
    assert Conversation(first_id(session), begun=True) == look_up(inventory, session)


@pytest.mark.parametrize("lines", [[], [{"type": "file-history-snapshot"}]])
def test_transcript_without_a_turn_lets_the_next_id_begin(
    vm: Vm, inventory: Inventory, lines: list[object]
) -> None:
    """Claude Code 2.0 leaves one where nobody typed anything, and takes its id no more."""
    session = session_of(inventory)
    transcript(vm, first_id(session), *lines)
    found = look_up(inventory, session)
    assert isinstance(found, Conversation)
    assert (True, False) == (found.id != first_id(session), found.begun)
    transcript(vm, found.id, TURN)
    assert Conversation(found.id, begun=True) == look_up(inventory, session)


def test_id_of_the_inventory_is_never_left(vm: Vm, inventory: Inventory) -> None:
    session = session_of(inventory, conversation=OTHER)
    assert Conversation(OTHER, begun=False) == look_up(inventory, session)
    path = transcript(vm, OTHER)
    path.unlink()
    os.mkfifo(path)
    found = look_up(inventory, session)
    assert isinstance(found, str)
    assert f"{vm.target('projects')}/*/{OTHER}.jsonl" in found


def test_transcripts_that_cannot_be_looked_for_are_no_new_conversation(
    vm: Vm, inventory: Inventory
) -> None:
    vm.target("projects").rmdir()
    found = look_up(inventory, session_of(inventory))
    assert (True, True) == (isinstance(found, str), "is not known: [Errno 2]" in str(found))


def test_without_a_link_for_them_transcripts_are_the_home_s(vm: Vm, inventory: Inventory) -> None:
    bare = inventory._replace(links=inventory.links[:2])
    assert f"{vm.home('primary')}/projects" == projects_of(bare, session_of(inventory))
    assert str(vm.target("projects")) == projects_of(inventory, session_of(inventory))


def test_record_says_what_the_session_went_over_to(vm: Vm, inventory: Inventory) -> None:
    session, process = session_of(inventory), Process(4_000_000, 17)
    home = str(vm.home("primary"))
    remember(inventory, session, home, process, OTHER)
    assert OTHER == current_id(inventory, session)
    path = Path(records.path_of(inventory.settings.state, "conversations", "api"))
    before = path.stat().st_ino
    remember(inventory, session, home, process, OTHER)
    assert before == path.stat().st_ino
    elsewhere = session_of(inventory, directory="/elsewhere")
    assert first_id(elsewhere) == current_id(inventory, elsewhere)


def test_note_that_outlived_its_process_has_the_last_word(vm: Vm, inventory: Inventory) -> None:
    """A power cut after a ``/clear`` that no launcher had seen."""
    session, home = session_of(inventory), vm.home("primary")
    remember(inventory, session, str(home), Process(4_000_000, 17), first_id(session))
    note = home / "sessions" / "4000000.json"
    note.parent.mkdir()
    note.write_text(json.dumps({"procStart": "17", "sessionId": OTHER}))
    assert first_id(session) == current_id(inventory, session)  # it had not resumed its own yet
    note.write_text(json.dumps({"procStart": "17", "sessionId": OTHER, "status": "idle"}))
    assert OTHER == current_id(inventory, session)
    note.write_text(json.dumps({"procStart": "18", "sessionId": OTHER, "status": "idle"}))
    assert first_id(session) == current_id(inventory, session)


@pytest.mark.parametrize(
    ("content", "words"),
    [("torn", "is no record"), ('{"schema": 1, "conversation": 7, "directory": "D"}', "names no")],
)
def test_record_that_is_torn_is_told_and_nothing_begins(
    vm: Vm, inventory: Inventory, content: str, words: str
) -> None:
    session = session_of(inventory)
    path = Path(records.path_of(inventory.settings.state, "conversations", "api"))
    path.parent.mkdir(parents=True)
    path.write_text(content.replace("D", session.directory))
    with pytest.raises((NotJudged, Unavailable), match=words):
        current_id(inventory, session)
    assert words in str(look_up(inventory, session))


def test_record_without_a_process_is_taken_as_it_is(vm: Vm, inventory: Inventory) -> None:
    session = session_of(inventory)
    record = {"conversation": OTHER, "directory": session.directory, "home": 7}
    records.write(inventory.settings.state, "conversations", "api", record)
    assert OTHER == current_id(inventory, session)


def test_session_that_went_over_to_another_conversation_is_followed(vm: Vm) -> None:
    api = Switching(vm)
    stray = api.trouble("primary", "stray", f"{OTHER}\n")
    api.up()
    stray.unlink()
    api.down()  # its note is gone then
    assert OTHER == current_id(api.inventory, api.inventory.sessions[0])
    api.up()
    assert OTHER in client.transcripts(vm)


def test_client_behind_a_wrapper_is_followed_by_its_own_note(vm: Vm) -> None:
    api = Switching(vm)
    wrapper = vm.root / "bin" / "claude"
    wrapper.parent.mkdir()
    wrapper.write_text(f'#!/bin/sh\n"{api.program}" "$@"\n')
    wrapper.chmod(0o700)
    api.write(command=[str(wrapper)])
    api.trouble("primary", "stray", f"{OTHER}\n")
    api.up()
    survey = Survey(api.inventory, vm.environ)
    follow(api.inventory, survey)
    assert OTHER == current_id(api.inventory, api.inventory.sessions[0])


def test_session_starts_with_the_options_in_front_of_its_own(
    vm: Vm, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_quick_gate(monkeypatch)
    api = Switching(vm)
    api.write(command=[str(api.program), "--verbose"])
    api.up()
    inventory = api.inventory
    rules = options_of(inventory, inventory.sessions[0], str(api.program))
    assert ["--session-id", api.conversation, *rules, "--verbose"] == words_of(api)[-5:]
    assert "backup" == api.switch("backup").account
    api.write(command=[str(api.program), "--verbose", "--settings", "mine.json"])
    own = ["--verbose", "--settings", "mine.json"]
    assert "primary" == api.switch("primary").account
    assert ["--resume", api.conversation, *own] == words_of(api)[-5:]


def words_of(api: Switching) -> list[str]:
    """Return the command line of the session's program."""
    content = Path(f"/proc/{api.runs[0].process.pid}/cmdline").read_bytes()
    return [os.fsdecode(word) for word in content.split(b"\0")[:-1]]


def test_transcripts_on_a_disk_that_hangs_are_given_up(
    vm: Vm, inventory: Inventory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("launcher.conversations.look_up", lambda *_: time.sleep(999))
    settings = inventory.settings._replace(timeout=0.1)
    with Interrupts() as interrupts:
        found = look_up_within(
            inventory._replace(settings=settings), session_of(inventory), interrupts
        )
    assert "its conversation is not known: no answer within 0.1 s" in str(found)


def test_home_that_hangs_is_given_up_where_its_notes_are_looked_for(
    vm: Vm, monkeypatch: pytest.MonkeyPatch
) -> None:
    api = Switching(vm)
    api.up()
    monkeypatch.setattr("launcher.conversations.note_of", lambda *_: time.sleep(999))
    monkeypatch.setattr("launcher.conversations._PATIENCE", 0.1)
    with Interrupts() as interrupts, pytest.raises(NotJudged, match=r"no answer within 0\.1 s"):
        follow(api.inventory, Survey(api.inventory, vm.environ), interrupts)


def test_note_that_cannot_be_read_is_told_of_from_the_process_that_looked(
    vm: Vm, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise Unavailable("notes/1.json: Permission denied")

    api = Switching(vm)
    api.up()
    monkeypatch.setattr("launcher.conversations.note_of", refuse)
    with Interrupts() as interrupts, pytest.raises(Unavailable, match="Permission denied"):
        follow(api.inventory, Survey(api.inventory, vm.environ), interrupts)


@pytest.mark.parametrize("known", [True, False], ids=["identity", "path alone"])
def test_directory_by_another_path_name_has_the_same_conversation(vm: Vm, known: bool) -> None:
    """The first id is made from the text, and stays as it is: the record finds it again.

    An older launcher noted the path alone.
    """
    source, alias = vm.root / "source", vm.root / "alias"
    source.mkdir()
    alias.symlink_to(source)
    vm.write({"api": ["claude"]}, directory=alias)
    before = load(str(vm.inventory))
    remember(before, session_of(before), str(vm.home("primary")), Process(1, 2), OTHER)
    path = vm.state / "conversations" / "api.json"
    record = json.loads(path.read_text())
    assert record["identity"] is not None
    path.write_text(json.dumps(record if known else {**record, "identity": None}))
    vm.write({"api": ["claude"]}, directory=source)
    after = load(str(vm.inventory))
    assert OTHER == current_id(after, session_of(after))
    alias.unlink()
    alias.mkdir()  # by now it is another directory
    expected = OTHER if known else first_id(session_of(after))
    assert expected == current_id(after, session_of(after))


def test_turns_of_a_client_that_notes_nothing_are_known_by_what_it_was_started_with(
    vm: Vm,
) -> None:
    """As 2.0.76: without that a transcript that is gone would be begun again under its id."""
    api = Switching(vm)
    api.trouble("primary", "mute")
    assert 0 == vm.run("up").returncode
    wait_until(lambda: client.transcripts(vm), "something is said")
    assert 0 == vm.run("check").returncode
    record = json.loads((vm.state / "conversations" / "api.json").read_text())
    assert (api.conversation, True) == (record["conversation"], record["begun"])
