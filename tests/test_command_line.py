"""What a command line of Claude Code opens; tests/claude/test_run.py asks the real one."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from invariants.command_line import Opened, is_client, named_in, of_a_client, opened_by

ID = "11111111-2222-3333-4444-555555555555"
OTHER = "99999999-2222-3333-4444-555555555555"
NEITHER = Opened()


@pytest.mark.parametrize(
    "words",
    [
        ["--resume", ID],
        ["--resume", ID.upper()],
        [f"--resume={ID}"],
        ["-r", ID],
        [f"-r{ID}"],
        ["-pr", ID],
        ["-pcr", ID],
        ["--session-id", ID],
        [f"--session-id={ID}"],
        ["--resume", f"/home/a/projects/-src/{ID}.jsonl"],
        [f"--resume=/home/a/projects/-src/{ID}.jsonl"],
        ["--model", "opus", "go on", "--verbose", "-r", ID],
        ["--bg", "--resume", ID],
        ["-c", "--resume", ID],
        ["--resume", OTHER, "--fork-session", "--session-id", ID],
    ],
)
def test_conversation_that_is_named(words: Sequence[str]) -> None:
    assert Opened(ID) == opened_by(["claude", *words])
    assert ID == named_in(["claude", *words])


@pytest.mark.parametrize(
    ("words", "unnamed"),
    [
        (["--continue"], "--continue"),
        (["-c"], "-c"),
        (["-pc", "go on"], "-pc"),
        (["-cp", "go on"], "-cp"),
        (["--resume"], "--resume"),
        (["-r"], "-r"),
        (["-r", "--verbose"], "-r"),
        (["--resume", "the title of one"], "--resume"),
        (["--resume="], "--resume="),
        (["--from-pr", "7"], "--from-pr"),
    ],
)
def test_conversation_that_is_left_to_a_choice(words: Sequence[str], unnamed: str) -> None:
    assert Opened(unnamed=unnamed) == opened_by(["claude", *words])


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["hello"],
        [f"resume {ID}"],
        ["--resume", ID, "--fork-session"],
        ["--fork-session", "-c"],
        ["-p", "--", "--resume", ID],
        ["--", "-c"],
        ["-d", "crash"],
        ["--chrome"],
        ["-"],
    ],
)
def test_new_conversation_or_a_branch(words: Sequence[str]) -> None:
    assert NEITHER == opened_by(["claude", *words])


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        (["claude", "-c"], ["claude", "-c"]),
        (["/opt/bin/claude", "-c"], ["/opt/bin/claude", "-c"]),
        (["env", "A=1", "claude", "-c"], ["claude", "-c"]),
        (["/usr/bin/nice", "-n", "5", "/opt/claude"], ["/opt/claude"]),
        (["npx", "@anthropic-ai/claude-code", "-c"], ["@anthropic-ai/claude-code", "-c"]),
        (
            ["node", "/lib/node_modules/@anthropic-ai/claude-code/cli.js", "-c"],
            ["/lib/node_modules/@anthropic-ai/claude-code/cli.js", "-c"],
        ),
        (["ls", "claude"], None),
        (["grep", "-r", "claude", "-c"], None),
        (["sh", "-c", "claude -c"], None),
        (["timeout", "5", "launcher", "run", "b", "claude", "-c"], None),
        (["env"], None),
    ],
)
def test_words_of_the_client_in_a_command(
    command: Sequence[str], expected: Sequence[str] | None
) -> None:
    assert expected == of_a_client(command)


def test_client_is_known_by_the_places_that_its_installers_use() -> None:
    assert is_client("/home/me/.local/share/claude/versions/2.1.332")
    assert is_client("/lib/node_modules/@anthropic-ai/claude-code/bin/claude.exe")
    assert not is_client("/home/claude/bin/tool")
