"""Whether a session could start under an account unasked, and whether it is logged in."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from invariants.client import Clients
from invariants.finding import Finding
from invariants.model import Account, Session
from invariants.readiness import judge_login, judge_readiness

LOGIN = {"claudeAiOauth": {"accessToken": "sk-secret", "scopes": ["user:inference"]}}


@pytest.fixture
def account(tmp_path: Path) -> Account:
    home = tmp_path / "a home"
    home.mkdir()
    return Account("backup", str(home))


@pytest.fixture
def session(tmp_path: Path) -> Session:
    directory = tmp_path / "src" / "api"
    directory.mkdir(parents=True)
    return Session("api", "primary", str(directory), ("claude", "--verbose"))


def write(account: Account, name: str = ".claude.json", /, **content: Any) -> Path:
    path = Path(account.home) / name
    path.write_text(json.dumps(content))
    return path


def trusting(*paths: object) -> dict[str, Any]:
    projects = {str(path): {"hasTrustDialogAccepted": True} for path in paths}
    return {"hasCompletedOnboarding": True, "projects": projects}


def told(finding: Finding | None) -> tuple[str, str]:
    assert finding is not None
    return finding.state, finding.found


def test_trusted_directory_is_ready(account: Account, session: Session) -> None:
    write(account, **trusting(session.directory))

    assert judge_readiness(account, session) is None


def test_trust_of_a_parent_is_enough(account: Account, session: Session) -> None:
    write(account, **trusting(Path(session.directory).parent))

    assert judge_readiness(account, session) is None


def test_home_that_was_never_used_is_told_with_a_start_by_hand(
    account: Account, session: Session
) -> None:
    finding = judge_readiness(account, session)

    assert finding is not None
    assert ("backup", "api", "not-onboarded") == (finding.account, finding.session, finding.state)
    assert "no .claude.json: Claude Code was never started there" == finding.found
    assert (
        f"(cd {session.directory} && CLAUDE_CONFIG_DIR='{account.home}' claude)"
        "  # answer its questions, then /exit"
    ) == finding.fix


def test_state_beside_a_default_home_is_named(tmp_path: Path, session: Session) -> None:
    """It counts only without `CLAUDE_CONFIG_DIR`, which a session always has."""
    account = Account("backup", str(tmp_path / ".claude"))
    Path(account.home).mkdir()
    beside = tmp_path / ".claude.json"
    beside.write_text(json.dumps(trusting(session.directory)))

    finding = judge_readiness(account, session)
    assert finding is not None
    assert "not-onboarded" == finding.state
    assert str(beside) in finding.found
    subprocess.run(["sh", "-c", finding.fix], check=True)
    assert judge_readiness(account, session) is None


@pytest.mark.parametrize("value", [None, False, "true", 1])
def test_first_start_counts_only_where_it_was_completed(
    account: Account, session: Session, value: object
) -> None:
    write(account, **{**trusting(session.directory), "hasCompletedOnboarding": value})

    found = ".claude.json does not say that the first start was completed"
    assert ("not-onboarded", found) == told(judge_readiness(account, session))


@pytest.mark.parametrize(
    "projects",
    [
        {},
        {"DIRECTORY": {"hasTrustDialogAccepted": False}},
        {"DIRECTORY": {}},
        {"DIRECTORY": None},
        {"DIRECTORY/": {"hasTrustDialogAccepted": True}},
        {"DIRECTORY/below": {"hasTrustDialogAccepted": True}},
        ["DIRECTORY"],
    ],
)
def test_directory_without_trust_is_told(
    account: Account, session: Session, projects: object
) -> None:
    text = json.dumps({"hasCompletedOnboarding": True, "projects": projects})
    path = Path(account.home) / ".claude.json"
    path.write_text(text.replace("DIRECTORY", session.directory))

    found = f"no trust for {session.directory} in .claude.json"
    assert ("not-trusted", found) == told(judge_readiness(account, session))


def test_home_directory_cannot_be_trusted_for_good(
    account: Account, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(account, **trusting())
    monkeypatch.setenv("HOME", session.directory)
    finding = judge_readiness(account, session)

    assert finding is not None
    note = "give the session another `directory`: in the home directory it asks each time"
    assert f"ls -ld {session.directory}  # look: {note}" == finding.fix


def test_older_name_of_the_file_goes_first(account: Account, session: Session) -> None:
    write(account, **trusting(session.directory))
    write(account, ".config.json")
    found = ".config.json does not say that the first start was completed"
    assert ("not-onboarded", found) == told(judge_readiness(account, session))

    write(account, ".config.json", **trusting(session.directory))
    assert judge_readiness(account, session) is None


def test_what_cannot_be_read_is_told_apart(account: Account, session: Session) -> None:
    path = Path(account.home) / ".claude.json"
    path.write_text("{")
    found = ".claude.json is not JSON (line 1, column 2)"
    assert ("unreadable", found) == told(judge_readiness(account, session))
    assert ("unreadable", found) == told(judge_login(account))

    write(account, **trusting("/"))
    missing = Session("api", "primary", f"{session.directory}/gone", ("claude",))
    found = f"{missing.directory} is unreadable: No such file or directory"
    assert ("unreadable", found) == told(judge_readiness(account, missing))


def test_file_is_read_once(account: Account, session: Session) -> None:
    clients = Clients()
    path = Path(account.home) / ".claude.json"
    path.write_text("{")
    assert "unreadable" == told(judge_readiness(account, session, "", clients))[0]
    path.unlink()

    assert "unreadable" == told(judge_readiness(account, session, "", clients))[0]
    assert "not-onboarded" == told(judge_readiness(account, session))[0]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        (".credentials.json", LOGIN),
        (".claude.json", {"primaryApiKey": "sk-secret"}),
        ("settings.json", {"apiKeyHelper": "print-key"}),
        ("settings.json", {"env": {"ANTHROPIC_API_KEY": "sk-secret"}}),
        ("settings.json", {"env": {"CLAUDE_CODE_USE_BEDROCK": "1"}}),
    ],
)
def test_whatever_authenticates_is_a_login(
    account: Account, name: str, content: dict[str, Any]
) -> None:
    write(account, name, **content)

    assert judge_login(account) is None


@pytest.mark.parametrize(
    ("name", "content"),
    [
        (".credentials.json", {}),
        (".credentials.json", {"claudeAiOauth": []}),
        (".credentials.json", {"claudeAiOauth": {**LOGIN["claudeAiOauth"], "accessToken": ""}}),
        (".credentials.json", {"claudeAiOauth": {"accessToken": "sk-secret"}}),
        (".credentials.json", {"claudeAiOauth": {**LOGIN["claudeAiOauth"], "scopes": ["user"]}}),
        (".claude.json", {"oauthAccount": {"accountUuid": "1"}}),
        (".claude.json", {"customApiKeyResponses": {"approved": ["x"]}}),
        ("settings.json", {"env": {"CLAUDE_CODE_USE_BEDROCK": "0", "ANTHROPIC_API_KEY": ""}}),
    ],
)
def test_what_does_not_authenticate_is_none(
    account: Account, name: str, content: dict[str, Any]
) -> None:
    write(account, name, **content)
    finding = judge_login(account)

    assert finding is not None
    assert ("backup", "not-logged-in") == (finding.account, finding.state)
    assert "secret" not in str(finding)
    assert f"CLAUDE_CONFIG_DIR='{account.home}' claude  # log in there with /login, then /exit" == (
        finding.fix
    )


def test_key_that_the_session_gets_is_a_login(account: Account) -> None:
    assert judge_login(account, "", {"ANTHROPIC_API_KEY": "sk-secret"}) is None
    assert judge_login(account, "", {"ANTHROPIC_API_KEY": ""}) is not None


def test_credentials_that_cannot_be_read_are_told_apart(account: Account) -> None:
    (Path(account.home) / ".credentials.json").write_text("sk-secret")

    found = ".credentials.json is not JSON (line 1, column 1)"
    assert ("unreadable", found) == told(judge_login(account))


@pytest.mark.parametrize(
    "words",
    [
        ("--dangerously-skip-permissions",),
        ("--allow-dangerously-skip-permissions",),
        ("--permission-mode", "bypassPermissions"),
        ("--permission-mode=bypassPermissions",),
    ],
)
def test_warning_about_the_mode_that_asks_nothing_must_have_been_accepted(
    account: Account, session: Session, words: tuple[str, ...]
) -> None:
    write(account, **trusting(session.directory))
    bold = session._replace(command=("claude", *words))
    finding = judge_readiness(account, bold)
    assert finding is not None
    assert "not-accepted" == finding.state
    assert f"claude {' '.join(words)})  # answer its questions" in finding.fix

    write(account, "settings.json", skipDangerousModePermissionPrompt=True)
    assert judge_readiness(account, bold) is None
    write(account, "settings.json")
    write(account, **trusting(session.directory), bypassPermissionsModeAccepted=True)
    assert judge_readiness(account, bold) is None


def test_mode_that_asks_nothing_may_be_the_homes_own(account: Account, session: Session) -> None:
    write(account, **trusting(session.directory))
    write(account, "settings.json", permissions={"defaultMode": "bypassPermissions"})
    assert "not-accepted" == told(judge_readiness(account, session))[0]

    write(account, "settings.json", permissions={"defaultMode": "plan"})
    assert judge_readiness(account, session) is None


def test_settings_that_stop_a_start_are_told(account: Account, session: Session) -> None:
    write(account, **trusting(session.directory))
    (Path(account.home) / "settings.json").write_text("{")

    found = "settings.json is not JSON (line 1, column 2)"
    assert ("unreadable", found) == told(judge_readiness(account, session))
