"""``conversation`` in the inventory, and commands that choose one themselves."""

from __future__ import annotations

from copy import deepcopy

import pytest

from invariants.model import Session
from invariants.programs import has_conversation, own_choices
from invariants.schema import decode
from tests.documents import PATH, WHOLE, changed, problems

ID = "1b4e28ba-2fa1-41d2-883f-0016d3cca427"


@pytest.mark.parametrize(
    ("written", "expected"),
    [(None, "auto"), ("auto", "auto"), ("off", "off"), (ID.upper(), ID), (ID, ID)],
)
def test_conversation_is_auto_off_or_an_id(written: str | None, expected: str) -> None:
    document = deepcopy(WHOLE) if written is None else changed("sessions[0].conversation", written)
    inventory, wrong = decode(document, PATH)
    assert ([], expected) == (wrong, inventory.sessions[0].conversation)


def test_conversation_that_is_no_id_is_refused() -> None:
    (wrong,) = problems(changed("sessions[0].conversation", "latest"))
    assert wrong.startswith("sessions[0].conversation: unknown conversation 'latest'; known are ")


def test_one_conversation_is_for_one_session() -> None:
    document = changed("sessions[0].conversation", ID)
    document["sessions"].append({**document["sessions"][0], "name": "web"})
    expected = "sessions[1].conversation: another session has that conversation already"
    assert [expected] == problems(document)


@pytest.mark.parametrize(
    "word",
    ["-c", "--continue", "-r", "--resume", f"--resume={ID}", "--session-id", "-pc", "--from-pr=7"],
)
def test_command_that_chooses_a_conversation_is_refused(word: str) -> None:
    document = changed("sessions[0].command", ["claude", "--verbose", word])
    (wrong,) = problems(document)
    assert wrong.startswith(f"sessions[0].command[2]: {word!r} chooses a conversation itself: ")
    document["sessions"][0]["conversation"] = "off"
    assert [] == problems(document)


@pytest.mark.parametrize(
    ("index", "command"),
    [
        (1, ["env", "CLAUDE_CONFIG_DIR=/other", "claude"]),
        (2, ["/usr/bin/env", "A=1", "CLAUDE_CONFIG_DIR=/other", "claude"]),
        (1, ["env", "-uCLAUDE_CONFIG_DIR", "claude"]),
        (2, ["env", "--unset", "CLAUDE_CONFIG_DIR", "claude"]),
        (1, ["env", "-i", "claude"]),
        (2, ["sh", "-c", "cd x && CLAUDE_CONFIG_DIR=/other exec claude"]),
        (2, ["bash", "-lc", "unset A CLAUDE_CONFIG_DIR; claude"]),
        (2, ["sh", "-c", 'export "CLAUDE_CONFIG_DIR=$HOME/.claude"; claude']),
    ],
)
def test_command_that_changes_the_home_is_refused(index: int, command: list[str]) -> None:
    """Its sessions would be another account's, and after a switch too."""
    (wrong,) = problems(changed("sessions[0].command", command))
    said = f"sessions[0].command[{index}]: {command[index]!r} changes CLAUDE_CONFIG_DIR: leave it"
    assert wrong.startswith(said)


@pytest.mark.parametrize(
    "command",
    [
        ["claude", "explain CLAUDE_CONFIG_DIR=/x"],
        ["env", "A=1", "claude", "-i", "CLAUDE_CONFIG_DIR=/x"],
        ["env", "-i", "sleep", "600"],
        ["sh", "-c", 'test -d "$CLAUDE_CONFIG_DIR" && exec claude'],
        ["sh", "-c", "MY_CLAUDE_CONFIG_DIR=/x claude"],
    ],
)
def test_command_that_only_reads_the_home_is_left_alone(command: list[str]) -> None:
    assert [] == problems(changed("sessions[0].command", command))


@pytest.mark.parametrize("command", [["claude", "--", "-c"], ["sh", "-c", "claude"], ["-c"]])
def test_command_of_another_kind_is_left_alone(command: list[str]) -> None:
    assert [] == problems(changed("sessions[0].command", command))


def test_wrapper_with_an_id_has_a_conversation_that_its_command_must_not_choose() -> None:
    document = changed("sessions[0].command", ["/opt/wrapper", "--resume"])
    assert [] == problems(document)
    document["sessions"][0]["conversation"] = ID
    assert 1 == len(problems(document))


@pytest.mark.parametrize(
    ("program", "conversation", "expected"),
    [
        ("/opt/claude", "auto", True),
        ("sh", "auto", False),
        ("claude", "off", False),
        ("sh", ID, True),
    ],
)
def test_who_has_a_conversation(program: str, conversation: str, expected: bool) -> None:
    session = Session("api", "a", "/", (program,), conversation=conversation)
    assert expected == has_conversation(session)
    assert [] == list(own_choices(session))


def test_session_may_always_run_under_its_own_account_and_the_inventory_s() -> None:
    session = Session("api", "backup", "/", ("claude",), failover=(), wanted="primary")
    allowed = [name for name in ("primary", "backup", "third") if session.may_run_under(name)]
    assert (["primary", "backup"], "primary") == (allowed, session.home_account)
