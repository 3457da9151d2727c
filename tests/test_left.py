"""No conversation is left behind in silence: what `up`, `check` and `switch` say and do."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from invariants.folders import folder_of
from invariants.warning import Warned
from launcher import left, records
from launcher.conversations import Conversation, first_id, look_up
from launcher.left import Why
from launcher.remembered import recall
from launcher.sessions.survey import Survey
from tests import client
from tests.switching import Switching, use_quick_gate
from tests.vm import Vm

ID = "11111111-2222-3333-4444-555555555555"


def green(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the gate be judged without pytest."""
    use_quick_gate(monkeypatch)


def looked_up(api: Switching) -> Conversation:
    inventory = api.inventory
    found = look_up(inventory, inventory.sessions[0])
    assert isinstance(found, Conversation)
    return found


def whys(found: Conversation) -> list[tuple[str, str]]:
    return [(one.why.value, one.conversation) for one in found.left]


def warned(api: Switching) -> list[Warned]:
    every = Survey(api.inventory, api.vm.environ).warnings()
    return [one for one in every if one.invariant == left.INVARIANT]


def in_directory(api: Switching, directory: Path, session_keys: str = "") -> None:
    """Let the inventory name another directory."""
    directory.mkdir(exist_ok=True)
    api.vm.write(
        {"api": [str(api.program)]}, directory=directory, session_keys=session_keys, settle=0.2
    )


@pytest.fixture
def api(vm: Vm) -> Switching:
    """Return a VM whose session runs in a directory of its own, started once and stopped."""
    api = Switching(vm)
    in_directory(api, vm.root / "work")
    assert "started" == api.up().state
    api.down()
    return api


def test_session_that_goes_on_says_nothing(api: Switching) -> None:
    assert Conversation(api.conversation, begun=True) == looked_up(api)
    status = api.up()
    assert "started" == status.state
    assert "conversation" not in str(status.detail)
    assert [] == warned(api)
    assert not (api.vm.state / "left").exists()


def test_transcript_that_is_gone_is_told_and_its_id_not_used_again(api: Switching) -> None:
    old = api.conversation
    shutil.rmtree(api.vm.target("projects"))
    api.vm.target("projects").mkdir()
    assert [("gone", old)] == whys(looked_up(api))
    status = api.up()
    assert ("started", True) == (status.state, f"{old} had turns" in str(status.detail))
    new = api.conversation
    assert old != new
    (warning,) = warned(api)
    assert ("api", True, True) == (warning.session, old in warning.found, new in warning.found)
    assert f'conversation = "{old}"' in warning.fix
    assert f"rm {api.vm.state}/left/api.json" in warning.fix
    api.down()
    assert Conversation(new, begun=True) == looked_up(api)
    record = recall(str(api.vm.state), "api")
    assert record is not None
    assert {old, new} == record.had_turns
    (api.vm.state / "left" / "api.json").unlink()
    assert [] == warned(api)
    assert Conversation(new, begun=True) == looked_up(api)


def test_transcript_that_lost_its_turns_is_told(api: Switching) -> None:
    """A power cut can leave the file with 0 bytes, or all NUL."""
    old = api.conversation
    (path,) = api.vm.target("projects").glob("*/*.jsonl")
    path.write_bytes(b"\0" * 100)
    found = looked_up(api)
    assert (True, False, [("gone", old)]) == (found.id != old, found.begun, whys(found))


def test_transcript_that_comes_back_is_resumed_unless_there_is_more_to_lose(
    api: Switching,
) -> None:
    (path,) = api.vm.target("projects").glob("*/*.jsonl")
    old, kept = path.stem, path.read_bytes()
    path.unlink()
    api.up()
    api.down()
    new = api.conversation
    path.write_bytes(kept)
    assert (new, True) == looked_up(api)[:2]
    (there,) = api.vm.target("projects").glob(f"*/{new}.jsonl")
    there.unlink()
    found = looked_up(api)
    assert (old, True, [("gone", new)]) == (found.id, found.begun, whys(found))


def test_session_that_was_never_asked_anything_is_begun_with_its_id(vm: Vm) -> None:
    """As Claude Code 2.1: without a prompt it leaves no transcript."""
    api = Switching(vm)
    api.trouble("primary", "quiet")
    api.up()
    api.down()
    assert {} == client.transcripts(vm)
    found = looked_up(api)
    assert Conversation(first_id(api.inventory.sessions[0]), begun=False) == found
    api.up()
    assert [] == warned(api)


def test_id_of_the_inventory_that_is_gone_is_not_begun_again(api: Switching) -> None:
    in_directory(api, api.vm.root / "work", f'conversation = "{ID}"')
    api.up()
    api.down()
    assert 2 == len(client.transcripts(api.vm))
    (path,) = api.vm.target("projects").glob(f"*/{ID}.jsonl")
    path.unlink()
    found = looked_up(api)
    assert (True, False, [("gone", ID)]) == (found.id != ID, found.begun, whys(found))
    assert "started" == api.up().state
    api.down()
    assert Conversation(found.id, begun=True) == looked_up(api)


def test_directory_that_was_renamed_keeps_its_conversation(api: Switching) -> None:
    old = api.conversation
    (api.vm.root / "work").rename(api.vm.root / "project")
    in_directory(api, api.vm.root / "project")
    found = looked_up(api)
    assert (old, True, ()) == found[:3]
    status = api.up()
    assert f"conversation {old} of {api.vm.root}/work, renamed since" in str(status.detail)
    assert {old} == set(client.transcripts(api.vm))
    link = api.vm.target("projects") / str(folder_of(f"{api.vm.root}/project")) / f"{old}.jsonl"
    assert link.is_symlink()
    assert [] == warned(api)
    api.down()
    assert "renamed" not in str(api.up().detail)


def test_directory_by_another_path_keeps_its_conversation(api: Switching) -> None:
    (api.vm.root / "other name").symlink_to(api.vm.root / "work")
    old = api.conversation
    api.vm.write({"api": [str(api.program)]}, directory=api.vm.root / "other name")
    assert (old, True, ()) == looked_up(api)[:3]


def test_other_directory_begins_another_conversation_and_tells_of_the_one_before(
    api: Switching,
) -> None:
    old = api.conversation
    in_directory(api, api.vm.root / "other")
    assert [("directory", old)] == whys(looked_up(api))
    assert f"is of {api.vm.root}/work" in str(api.up().detail)
    (warning,) = warned(api)
    assert f'conversation = "{old}"' in warning.fix
    api.down()
    api.vm.write(
        {"api": [str(api.program)]},
        directory=api.vm.root / "other",
        session_keys=f'conversation = "{old}"',
    )
    assert [] == warned(api)
    assert Conversation(old, begun=True) == looked_up(api)


def test_session_that_is_back_in_its_directory_goes_on_where_it_was(api: Switching) -> None:
    """Also if it had gone over to another conversation there."""
    stray = api.trouble("primary", "stray", f"{ID}\n")
    api.up()
    stray.unlink()
    api.down()
    in_directory(api, api.vm.root / "other")
    api.up()
    api.down()
    in_directory(api, api.vm.root / "work")
    assert ID == looked_up(api).id


def test_record_of_an_earlier_version_is_told_of_once_its_directory_is_another(
    api: Switching,
) -> None:
    path = Path(records.path_of(str(api.vm.state), "conversations", "api"))
    record = json.loads(path.read_text())
    for key in ("uid", "begun", "identity", "gone", "elsewhere"):
        del record[key]
    path.write_text(json.dumps(record))
    assert Conversation(api.conversation, begun=True) == looked_up(api)
    (api.vm.root / "work").rename(api.vm.root / "project")
    in_directory(api, api.vm.root / "project")
    assert [("directory", api.conversation)] == whys(looked_up(api))


@pytest.mark.thorough
def test_session_under_another_name_tells_of_the_one_before(api: Switching) -> None:
    old = api.conversation
    api.vm.write({"web": [str(api.program)]}, directory=api.vm.root / "work")
    found = looked_up(api)
    assert [("name", old)] == whys(found)
    assert "of the session api" in found.left[0].found
    (api.vm.state / "conversations" / "torn.json").write_text("torn")
    assert [("name", old)] == whys(looked_up(api))
    api.vm.write({"web": [str(api.program)]}, directory=api.vm.root)
    assert [] == whys(looked_up(api))


def test_new_session_beside_another_tells_of_nothing(api: Switching) -> None:
    commands = {name: [str(api.program)] for name in ("web", "api")}
    api.vm.write(commands, directory=api.vm.root / "work")
    assert [] == whys(looked_up(api))


def test_conversation_of_another_user_id_is_told(api: Switching) -> None:
    session = api.inventory.sessions[0]
    theirs = first_id(session, 4711)
    (path,) = api.vm.target("projects").glob("*/*.jsonl")
    folder = api.vm.target("projects") / str(folder_of(session.directory))
    folder.mkdir(exist_ok=True)
    path.rename(folder / f"{theirs}.jsonl")
    shutil.rmtree(api.vm.state / "conversations")
    found = looked_up(api)
    assert [("user", theirs)] == whys(found)
    assert "user id 4711" in found.left[0].found
    (folder / f"{theirs}.jsonl").rename(folder / f"{first_id(session)}.jsonl")
    assert [] == whys(looked_up(api))


def test_user_id_that_changed_goes_on_with_the_conversation_on_record(
    api: Switching, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("launcher.conversations.os.geteuid", lambda: 4711)
    assert Conversation(api.conversation, begun=True) == looked_up(api)


def test_record_of_another_user_is_named_if_the_transcripts_cannot_be_read(
    api: Switching,
) -> None:
    path = Path(records.path_of(str(api.vm.state), "conversations", "api"))
    path.write_text(json.dumps({**json.loads(path.read_text()), "uid": 4711}))
    api.vm.target("projects").rename(api.vm.root / "away")
    found = look_up(api.inventory, api.inventory.sessions[0])
    assert "user id 4711 had it last" in str(found)


def test_start_is_refused_if_what_it_leaves_cannot_be_noted(api: Switching) -> None:
    in_directory(api, api.vm.root / "other")
    (api.vm.state / "left").write_text("in the way")
    status = api.up()
    assert ("failed", True) == (status.state, "cannot be noted" in str(status.detail))
    assert [] == api.runs


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("torn", "is not known"),
        ('{"schema": 1, "left": 7}', None),
        ('{"schema": 1, "left": [7, {"conversation": "x", "why": "later"}]}', None),
    ],
)
@pytest.mark.thorough
def test_note_that_cannot_be_read_is_a_warning_and_stops_nothing(
    api: Switching, content: str, words: str | None
) -> None:
    path = api.vm.state / "left" / "api.json"
    path.parent.mkdir()
    path.write_text(content)
    found = [one.found for one in warned(api)]
    assert (words is not None) == bool(found)
    assert words is None or words in found[0]
    assert "started" == api.up().state


def test_note_keeps_each_conversation_once(api: Switching) -> None:
    inventory = api.inventory
    gone = [left.Left(ID, Why.GONE, "/src")]
    for instead in ("first", "second"):
        left.note(inventory, inventory.sessions[0], gone, instead, "/projects")
    (warning,) = warned(api)
    assert "it goes on with first" in warning.found


def remove_transcript(api: Switching) -> None:
    (path,) = api.vm.target("projects").glob("*/*.jsonl")
    path.unlink()


BREAK: dict[str, Callable[[Switching], object]] = {
    "turns-missing": remove_transcript,
    "other-conversation": lambda api: in_directory(api, api.vm.root / "other"),
}


@pytest.mark.parametrize("state", BREAK)
@pytest.mark.parametrize("runs", [True, False])
@pytest.mark.thorough
def test_switch_leaves_no_conversation_behind_unless_it_is_told_to(
    api: Switching, monkeypatch: pytest.MonkeyPatch, state: str, runs: bool
) -> None:
    green(monkeypatch)
    if runs:
        api.up()
    old, before = api.conversation, api.runs
    BREAK[state](api)
    done = api.switch("backup")
    assert ("refused", 1, [state]) == (
        done.outcome,
        done.exit_code,
        [finding.state for finding in done.findings],
    )
    assert before == api.runs
    fix, _, note = done.findings[0].fix.partition("  # ")
    assert fix.startswith("launcher switch api backup")
    assert fix.endswith(" --without-conversation")
    assert old in note
    done = api.switch("backup", without_conversation=True)
    assert ("switched", False) == (done.outcome, done.conversation == old)
    assert old in warned(api)[0].found


def test_switch_of_a_session_without_turns_moves_it_empty_and_says_so(
    vm: Vm, monkeypatch: pytest.MonkeyPatch
) -> None:
    green(monkeypatch)
    api = Switching(vm)
    for account in vm.accounts:
        api.trouble(account, "quiet")
    api.up()
    done = api.switch("backup", dry_run=True)
    assert ("planned", False) == (done.outcome, done.begun)
    done = api.switch("backup")
    assert ("switched", False, first_id(api.inventory.sessions[0])) == (
        done.outcome,
        done.begun,
        done.conversation,
    )


OWN = "the session's own"
SILENT = [
    {"sessionId": OWN, "display": "/model"},
    {"sessionId": OWN, "display": 7},
    {"sessionId": ID, "display": "in another conversation"},
    7,
]


def history(api: Switching, *entries: object) -> None:
    """Write what was typed under the first account, with a torn line at the end."""
    conversation = first_id(api.inventory.sessions[0])
    lines = [json.dumps(entry).replace(OWN, conversation) for entry in entries]
    path = api.vm.home("primary") / "history.jsonl"
    path.write_text("\n".join([*lines, f'{{"{conversation}": torn']))


@pytest.mark.thorough
def test_prompt_that_is_in_no_transcript_is_not_taken_for_an_empty_session(
    vm: Vm, monkeypatch: pytest.MonkeyPatch
) -> None:
    green(monkeypatch)
    api = Switching(vm)
    for account in vm.accounts:
        api.trouble(account, "quiet")
    api.up()
    history(api, *SILENT)
    assert "planned" == api.switch("backup", dry_run=True).outcome
    history(api, *SILENT, {"sessionId": OWN, "display": "remember the word"})
    done = api.switch("backup")
    assert ("refused", "turns-missing") == (done.outcome, done.findings[0].state)
    assert "history.jsonl" in done.findings[0].found
    done = api.switch("backup", without_conversation=True)
    assert "switched" == done.outcome
    assert first_id(api.inventory.sessions[0]) != done.conversation


def test_transcript_that_a_client_is_about_to_begin_is_waited_for(
    vm: Vm, monkeypatch: pytest.MonkeyPatch
) -> None:
    green(monkeypatch)
    api = Switching(vm)
    api.trouble("primary", "quiet")
    api.up()
    history(api, {"sessionId": OWN, "display": "remember the word"})
    conversation = first_id(api.inventory.sessions[0])
    folders = [vm.target("projects") / str(one) for one in ("work", folder_of(str(vm.root)))]
    for folder in folders:
        folder.mkdir(exist_ok=True)
    turn = json.dumps({"type": "user", "home": "home-primary"})
    write = "; ".join(f"echo '{turn}' > {folder}/{conversation}.jsonl" for folder in folders)
    with subprocess.Popen(["sh", "-c", f"sleep 0.5; {write}"]):
        done = api.switch("backup")
    assert ("switched", conversation) == (done.outcome, done.conversation), done.findings


def in_environment(api: Switching, name: str) -> None:
    wrapper = api.vm.root / "bin" / "claude"
    wrapper.parent.mkdir()
    wrapper.write_text(f'#!/bin/sh\nexport {name}=1\nexec "{api.program}" "$@"\n')
    wrapper.chmod(0o700)
    api.write(command=[str(wrapper)])


def in_settings(api: Switching, name: str) -> None:
    (api.vm.home("primary") / "settings.json").write_text(json.dumps({"env": {name: "1"}}))


def in_project(api: Switching, name: str) -> None:
    (api.vm.root / ".claude").mkdir()
    (api.vm.root / ".claude" / "settings.json").write_text("torn")
    path = api.vm.root / ".claude" / "settings.local.json"
    path.write_text(json.dumps({"env": {name: "1"}}))


@pytest.mark.parametrize("where", [in_environment, in_settings, in_project])
@pytest.mark.thorough
def test_session_that_may_keep_no_transcript_is_not_taken_for_an_empty_one(
    vm: Vm, monkeypatch: pytest.MonkeyPatch, where: Callable[[Switching, str], None]
) -> None:
    green(monkeypatch)
    api = Switching(vm)
    where(api, "CLAUDE_CODE_SKIP_PROMPT_HISTORY")
    for account in vm.accounts:
        api.trouble(account, "quiet")
    api.up()
    done = api.switch("backup")
    assert ("refused", "turns-missing") == (done.outcome, done.findings[0].state)
    assert "CLAUDE_CODE_SKIP_PROMPT_HISTORY" in done.findings[0].found


def test_history_that_cannot_be_read_is_no_empty_session(
    vm: Vm, monkeypatch: pytest.MonkeyPatch
) -> None:
    green(monkeypatch)
    api = Switching(vm)
    api.trouble("primary", "quiet")
    api.up()
    (vm.home("primary") / "history.jsonl").mkdir()
    done = api.switch("backup")
    assert ("refused", "turns-missing") == (done.outcome, done.findings[0].state)
    assert "is not known" in done.findings[0].found
