"""What the CLI stops at, and whether the invariants foretell it: a terminal, and nobody in it."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from invariants.client import Clients
from invariants.model import Account, Session
from invariants.readiness import judge_login, judge_readiness
from tests.claude.cli import Cli, Terminal, key_of
from tests.claude.facts import VERSIONS
from tests.claude.known import Known
from tests.places import managed_directory, managed_settings
from tests.vm import wait_until

QUESTIONS = {
    "first start": ("text style",),
    "trust": ("trust this folder", "trust the files"),
    "bypass": ("Yes, I accept",),
    "settings": ("Settings Error",),
    "configuration": ("Configuration Error", "configuration file"),
}
"""Words of the dialogs, by what they ask."""

_ASKS = {None: "not read", "bypass": "asks"}
_BYPASS = {"permissions": {"defaultMode": "bypassPermissions"}}

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


def repository_of_a_submodule(place: Path, state: dict[str, Any]) -> None:
    library, main = place.parent / "library", place.parent
    for repository in (library, main):
        repository.mkdir(exist_ok=True)
        git(repository, "init")
        git(repository, "commit", "--allow-empty", "-m", "first")
    place.rmdir()
    local = ["-c", "protocol.file.allow=always"]
    git(main, *local, "submodule", "add", str(library), place.name)
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


PLACES: Mapping[Prepare, str | None] = {
    itself: "the directory itself",
    nothing: None,
    parent: "a parent of it, outside a git repository",
    above_a_repository: "a parent of that root",
    root_of_a_repository: "the root of its repository",
    repository_of_a_worktree: "the repository of a worktree (if it knows the worktree)",
    repository_of_a_submodule: "a repository, for its submodule",
    symlink_by_its_target: "the directory itself",
    symlink_by_its_name: None,
}
"""What has a record of trust, as the table of facts calls it; None counts with no version."""


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
    finding = judge_readiness(account, session, clients=Clients(str(managed_directory(claude.vm))))
    return None if finding is None else finding.state


def manage(claude: Cli, **files: object) -> None:
    """Let the CLI see these managed settings from now on."""
    prefix, real = managed_settings(claude.vm, **files), claude.program
    claude.program = claude.vm.root / "claude"
    claude.program.write_text(f'#!/bin/sh\nexec {shlex.join([*prefix, str(real)])} "$@"\n')
    claude.program.chmod(0o700)


@pytest.mark.parametrize("prepare", PLACES, ids=lambda one: str(one.__name__))
def test_directory_that_is_not_trusted_is_foretold(
    claude: Cli, known: Known, prepare: Prepare
) -> None:
    place = claude.directory / "src" / "api"
    place.mkdir(parents=True)
    state = state_of(claude)
    claude.directory = prepare(place, state) or place
    (claude.vm.home("primary") / ".claude.json").write_text(json.dumps(state))
    foretold = judged(claude)
    asked = question(claude.open("primary"))

    fact = PLACES[prepare]
    assert asked in (None, "trust")
    if fact is None:
        assert ("trust", "not-trusted") == (asked, foretold)
    else:
        known.hold(fact, "asks" if asked else "counts")
        strictest = Known(VERSIONS[0])[fact]  # the invariants go by the newest version
        assert {"counts": None, "asks": "not-trusted"}[str(strictest)] == foretold


def test_first_start_is_foretold(claude: Cli) -> None:
    state = state_of(claude)
    trust(state, claude.directory)
    del state["hasCompletedOnboarding"]
    (claude.vm.home("primary") / ".claude.json").write_text(json.dumps(state))

    assert "not-onboarded" == judged(claude)
    assert "first start" == question(claude.open("primary"))


def test_state_beside_a_default_home_counts_without_the_variable_only(
    claude: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = claude.vm.root / ".claude"
    claude.vm.home("primary").rename(home)
    state = state_of(claude)
    trust(state, claude.directory)
    (home / ".claude.json").unlink()
    (claude.vm.root / ".claude.json").write_text(json.dumps(state))
    default = {**claude.environ("primary"), "HOME": str(claude.vm.root)}
    del default["CLAUDE_CONFIG_DIR"]
    named = {**default, "CLAUDE_CONFIG_DIR": str(home)}
    account = Account("primary", str(home))
    session = Session("api", "primary", str(claude.directory), ("claude",))
    finding = judge_readiness(account, session)
    assert finding is not None

    monkeypatch.setattr(claude, "environ", lambda account: default)
    assert question(claude.open("primary")) is None
    monkeypatch.setattr(claude, "environ", lambda account: named)
    terminal = claude.open("primary")
    terminal.wait_for("Welcome to Claude Code")
    os.kill(terminal.pid, signal.SIGKILL)
    wait_until(lambda: terminal.ending is not None, "it has ended", 90)
    (home / ".claude.json").unlink(missing_ok=True)  # it was begun there

    subprocess.run(["sh", "-c", finding.fix], check=True)
    assert judge_readiness(account, session) is None
    assert question(claude.open("primary")) is None


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


@pytest.mark.parametrize(
    ("fact", "files"),
    [
        (
            "the mode that bypasses permissions, in `managed-settings.json`",
            {"base": _BYPASS},
        ),
        (
            "the same in `managed-settings.d/NAME.json`",
            {"base": {}, "50-ours": _BYPASS},
        ),
        (
            "beside it, `skipDangerousModePermissionPrompt`",
            {"base": {**_BYPASS, "skipDangerousModePermissionPrompt": True}},
        ),
    ],
    ids=["base", "drop-in", "answered"],
)
def test_mode_of_managed_settings_is_foretold(
    claude: Cli, known: Known, fact: str, files: dict[str, object]
) -> None:
    state = state_of(claude)
    trust(state, claude.directory)
    (claude.vm.home("primary") / ".claude.json").write_text(json.dumps(state))
    manage(claude, **files)
    asked = question(claude.open("primary"))

    words = {None: "counts", "bypass": "not read"} if "skip" in fact else _ASKS
    known.hold(fact, words[asked])
    newest = str(Known(VERSIONS[0])[fact])  # the invariants go by the newest version
    assert {"counts": None, "asks": "not-accepted"}[newest] == judged(claude)


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
        ("work/.claude/settings.json", {"apiKeyHelper": "echo sk-ant-none"}),
        ("work/.claude/settings.local.json", {"env": {"ANTHROPIC_AUTH_TOKEN": "none"}}),
        ("managed", {"apiKeyHelper": "echo sk-ant-none"}),
        ("managed", {"env": {"ANTHROPIC_AUTH_TOKEN": "none"}}),
    ],
)
def test_what_is_no_login_is_foretold(
    claude: Cli, known: Known, monkeypatch: pytest.MonkeyPatch, name: str, content: dict[str, Any]
) -> None:
    home = claude.vm.home("primary")
    if name == "managed":
        manage(claude, base=content)
    elif name.startswith("work/"):
        path = claude.vm.root / name
        path.parent.mkdir()
        path.write_text(json.dumps(content))
    else:
        (home / name).write_text(json.dumps({"hasCompletedOnboarding": True, **content}))
    environ = claude.environ("primary")
    del environ["ANTHROPIC_API_KEY"]
    monkeypatch.setattr(claude, "environ", lambda account: environ)
    session = Session("api", "primary", str(claude.directory), ("claude",))
    clients = Clients(str(managed_directory(claude.vm)))
    finding = judge_login(Account("primary", str(home)), clients=clients, session=session)
    done = claude.run("primary", "hello")

    assert (finding is None) == (done.returncode == 0), done.stdout
    assert (finding is None) == (len(claude.stub.turns) > 0)
    if finding is not None:
        known.hold("without a login `-p` says", done.stdout.partition(" ·")[0])
