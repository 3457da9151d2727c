"""What the CLI stops at, and whether the invariants foretell it: a terminal, and nobody in it."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from invariants.model import Account, Session
from invariants.readiness import judge_login, judge_readiness
from tests.claude.cli import Cli, Terminal, key_of
from tests.vm import wait_until

QUESTIONS = {
    "first start": ("text style",),
    "trust": ("trust this folder", "trust the files"),
    "bypass": ("Yes, I accept",),
    "settings": ("Settings Error",),
    "configuration": ("Configuration Error", "configuration file"),
}
"""Words of the dialogs, by what they ask."""

Prepare = Callable[[Path, dict[str, Any]], Path | None]


def trust(state: dict[str, Any], *paths: Path) -> None:
    for path in paths:
        state["projects"][str(path)] = {"hasTrustDialogAccepted": True}


def git(directory: Path, *arguments: str) -> None:
    who = ["-c", "user.name=me", "-c", "user.email=me@example.org"]
    command = ["git", *who, "-C", str(directory), *arguments]
    subprocess.run(command, check=True, capture_output=True)


def itself(place: Path, state: dict[str, Any]) -> None:
    trust(state, place)


def nothing(place: Path, state: dict[str, Any]) -> None:
    pass


def parent(place: Path, state: dict[str, Any]) -> None:
    trust(state, place.parent)


def above_a_repository(place: Path, state: dict[str, Any]) -> None:
    git(place, "init")
    trust(state, place.parent)


def root_of_a_repository(place: Path, state: dict[str, Any]) -> None:
    git(place.parent, "init")
    trust(state, place.parent)


def repository_of_a_worktree(place: Path, state: dict[str, Any]) -> None:
    main = place.parent / "main"
    main.mkdir()
    git(main, "init")
    git(main, "commit", "--allow-empty", "-m", "first")
    place.rmdir()
    git(main, "worktree", "add", str(place))
    trust(state, main)


def symlink_by_its_target(place: Path, state: dict[str, Any]) -> Path:
    link = place.parent / "link"
    link.symlink_to(place)
    trust(state, place)
    return link


def symlink_by_its_name(place: Path, state: dict[str, Any]) -> Path:
    link = place.parent / "link"
    link.symlink_to(place)
    trust(state, link)
    return link


def not_onboarded(place: Path, state: dict[str, Any]) -> None:
    trust(state, place)
    del state["hasCompletedOnboarding"]


PLACES: Mapping[Prepare, str | None] = {
    itself: None,
    nothing: "trust",
    parent: None,
    above_a_repository: "trust",
    root_of_a_repository: None,
    repository_of_a_worktree: None,
    symlink_by_its_target: None,
    symlink_by_its_name: "trust",
    not_onboarded: "first start",
}
"""What the newest version asks."""

OLDER: Mapping[tuple[str, Prepare], str | None] = {
    ("2.0.76", above_a_repository): None,
    ("2.1.197", above_a_repository): None,
    ("2.0.76", repository_of_a_worktree): "trust",
}
"""Where an older version differs from the newest, which the invariants follow."""


def question(terminal: Terminal) -> str | None:
    """Wait until the CLI asks something or is ready; return what it asks."""

    def asked() -> str | None:
        screen = terminal.screen
        found = (name for name, all_of in QUESTIONS.items() if any(one in screen for one in all_of))
        return next(found, None)

    def is_at_its_prompt() -> bool:
        # A dialog's choice has the prompt's sign too, with a number behind it.
        return re.search(r"^[❯>](?! *\d\.)", terminal.screen, re.MULTILINE) is not None

    wait_until(lambda: asked() or is_at_its_prompt(), "it asks or is ready", 90)
    return asked()


def state_of(claude: Cli) -> dict[str, Any]:
    approved = {"approved": [key_of("primary")], "rejected": []}
    return {
        "hasCompletedOnboarding": True,
        "theme": "dark",
        "customApiKeyResponses": approved,
        "projects": {},
    }


def judged(claude: Cli, *words: str) -> str | None:
    account = Account("primary", str(claude.vm.home("primary")))
    session = Session("api", "primary", str(claude.directory), ("claude", *words))
    finding = judge_readiness(account, session)
    return None if finding is None else finding.state


@pytest.mark.parametrize("prepare", PLACES, ids=lambda one: str(one.__name__))
def test_what_stops_a_start_is_foretold(claude: Cli, prepare: Prepare) -> None:
    place = claude.directory / "src" / "api"
    place.mkdir(parents=True)
    state = state_of(claude)
    claude.directory = prepare(place, state) or place
    (claude.vm.home("primary") / ".claude.json").write_text(json.dumps(state))
    foretold = judged(claude)
    asked = question(claude.open("primary"))

    assert OLDER.get((claude.version, prepare), PLACES[prepare]) == asked
    assert {None: None, "trust": "not-trusted", "first start": "not-onboarded"}[
        PLACES[prepare]
    ] == foretold


@pytest.mark.parametrize(
    ("words", "changes", "asked"),
    [
        (["--dangerously-skip-permissions"], {}, "bypass"),
        (["--allow-dangerously-skip-permissions"], {}, "bypass"),
        (["--permission-mode", "bypassPermissions"], {}, "bypass"),
        (["--dangerously-skip-permissions"], {"bypassPermissionsModeAccepted": True}, None),
        ([], {}, None),
    ],
)
def test_warning_about_the_mode_that_asks_nothing_is_foretold(
    claude: Cli, words: list[str], changes: dict[str, Any], asked: str | None
) -> None:
    state = {**state_of(claude), **changes}
    trust(state, claude.directory)
    (claude.vm.home("primary") / ".claude.json").write_text(json.dumps(state))

    assert ("not-accepted" if asked else None) == judged(claude, *words)
    assert asked == question(claude.open("primary", *words))


@pytest.mark.parametrize(
    ("name", "content", "asked", "state"),
    [
        ("settings.json", "{", "settings", "unreadable"),
        ("settings.json", " ", None, None),
        (".claude.json", "{", "configuration", "unreadable"),
        ("settings.json", '{"permissions": {"defaultMode": "bypassPermissions"}}', "bypass", "not"),
    ],
)
def test_file_that_stops_a_start_is_foretold(
    claude: Cli, name: str, content: str, asked: str | None, state: str | None
) -> None:
    document = state_of(claude)
    trust(document, claude.directory)
    (claude.vm.home("primary") / ".claude.json").write_text(json.dumps(document))
    (claude.vm.home("primary") / name).write_text(content)
    foretold = judged(claude)

    assert state == (foretold and foretold.removesuffix("-accepted"))
    assert asked == question(claude.open("primary"))


OAUTH = {"accessToken": "sk-ant-oat01-none", "scopes": ["user:inference"], "expiresAt": 2**45}


@pytest.mark.parametrize(
    ("name", "content"),
    [
        (".claude.json", {}),
        (".claude.json", {"oauthAccount": {"accountUuid": "1"}}),
        (".claude.json", {"primaryApiKey": "sk-ant-none"}),
        (".credentials.json", {"claudeAiOauth": OAUTH}),
        (".credentials.json", {"claudeAiOauth": {**OAUTH, "scopes": []}}),
        (".credentials.json", {"claudeAiOauth": {**OAUTH, "accessToken": ""}}),
        ("settings.json", {"apiKeyHelper": "echo sk-ant-none"}),
        ("settings.json", {"env": {"ANTHROPIC_AUTH_TOKEN": "none"}}),
    ],
)
def test_what_is_no_login_is_foretold(
    claude: Cli, monkeypatch: pytest.MonkeyPatch, name: str, content: dict[str, Any]
) -> None:
    home = claude.vm.home("primary")
    (home / name).write_text(json.dumps({"hasCompletedOnboarding": True, **content}))
    environ = claude.environ("primary")
    del environ["ANTHROPIC_API_KEY"]
    monkeypatch.setattr(claude, "environ", lambda account: environ)
    finding = judge_login(Account("primary", str(home)))
    done = claude.run("primary", "hello")

    assert (finding is None) == (done.returncode == 0), done.stdout
    assert (finding is None) == (len(claude.stub.turns) > 0)
