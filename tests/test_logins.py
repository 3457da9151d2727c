"""The login of a session's account, and of those that it may move to: red, or told."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from invariants.client import KEYS, PROVIDERS
from launcher import early
from tests import client
from tests.patching import patch
from tests.vm import Vm

FAILED = "test_session_is_logged_in[primary-api]"
LOGIN = {"accessToken": "key-of-primary", "scopes": ["user:inference"]}


@pytest.fixture
def claude(vm: Vm) -> Vm:
    """Return a VM with a session ``api`` of a stand-in; every account is logged in."""
    client.install(vm)
    write(vm)
    return vm


def write(vm: Vm, keys: str = "", *arguments: str) -> None:
    vm.write({"api": [str(vm.root / "claude"), *arguments]}, session_keys=keys)


def log_out(vm: Vm, account: str) -> None:
    (vm.home(account) / ".credentials.json").unlink()


def credentials(vm: Vm, account: str, **login: object) -> None:
    path = vm.home(account) / ".credentials.json"
    path.write_text(json.dumps({"claudeAiOauth": {**LOGIN, **login}}))
    path.chmod(0o600)


def told(vm: Vm, **environ: str) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """Run a gate; return what failed, with its state, and where it warns, with the words."""
    vm.run("check", environ=environ)
    failures = [(one["nodeid"].rpartition("::")[2], one["state"]) for one in vm.report["failures"]]
    warnings = [(one["account"], one["found"]) for one in vm.report["warnings"]]
    return failures, warnings


def test_logged_out_account_of_a_session_is_red_and_keeps_it_from_starting(claude: Vm) -> None:
    log_out(claude, "primary")
    assert ([(FAILED, "not-logged-in")], []) == told(claude)
    assert 1 == claude.run("up").returncode
    assert [] == claude.processes()


def test_spare_account_that_is_logged_out_is_nobodys_business(claude: Vm) -> None:
    log_out(claude, "backup")
    assert ([], []) == told(claude)


def test_account_of_the_failover_list_that_is_logged_out_is_told(claude: Vm) -> None:
    write(claude, 'failover = ["backup"]')
    assert ([], []) == told(claude)
    log_out(claude, "backup")
    found = "no failover there: no login, no API key and no helper that prints one"
    assert ([], [("backup", found)]) == told(claude)
    assert 0 == claude.run("check").returncode


@pytest.mark.parametrize(
    "login",
    [
        {"accessToken": ""},
        {"accessToken": " \n"},
        {"accessToken": None},
        {"scopes": ["user:profile"]},
    ],
    ids=str,
)
def test_login_that_holds_nothing_is_none(claude: Vm, login: dict[str, object]) -> None:
    credentials(claude, "primary", **login)
    assert ([(FAILED, "not-logged-in")], []) == told(claude)


@pytest.mark.parametrize(
    "login",
    [{"expiresAt": 1}, {"refreshToken": "", "expiresAt": None}, {"subscriptionType": None}],
    ids=str,
)
def test_login_whose_token_has_expired_counts(claude: Vm, login: dict[str, object]) -> None:
    credentials(claude, "primary", **login)
    assert ([], []) == told(claude)


@pytest.mark.parametrize("key", ["accessToken", "refreshToken"])
def test_very_same_tokens_in_two_homes_are_red_at_the_later(claude: Vm, key: str) -> None:
    for account in claude.accounts:
        credentials(claude, account, **{"accessToken": f"a-{account}", key: "the same"})
    failures, warnings = told(claude)
    assert [("test_login_is_its_own[backup]", "same-tokens")] == failures
    assert [] == warnings
    assert "the same" not in json.dumps(claude.report).replace("the very same tokens", "")


def test_blank_tokens_are_not_the_same_ones(claude: Vm) -> None:
    for account in claude.accounts:
        credentials(claude, account, accessToken=f"a-{account}", refreshToken=" ")
    assert ([], []) == told(claude)


def test_file_that_two_homes_share_is_told_by_its_isolation_alone(claude: Vm) -> None:
    log_out(claude, "backup")
    (claude.home("backup") / ".credentials.json").symlink_to(
        claude.home("primary") / ".credentials.json"
    )
    failures, _ = told(claude)
    assert [("test_login_is_isolated[backup-.credentials.json]", "symlink")] == failures


def _home_settings(vm: Vm, content: object) -> None:
    path = vm.home("primary") / "settings.json"
    path.write_text(json.dumps(content))
    path.chmod(0o600)


def _command_settings(vm: Vm, path: str) -> None:
    write(vm, "", "--settings", path)
    # Else it is told that the session gets no rules for its memory, which is no matter of a login.
    patch(vm.inventory, "[launcher]\n", "[launcher]\nmemory_rules = false\n")


def _project_settings(vm: Vm, name: str, content: object) -> None:
    (vm.root / ".claude").mkdir()
    (vm.root / ".claude" / name).write_text(json.dumps(content))


def _script(vm: Vm, line: str) -> None:
    path = vm.root / "claude"
    path.write_text(f"#!/bin/sh\n{line}\nexec sleep 600\n")
    path.chmod(0o700)


COUNTS: dict[str, Callable[[Vm], object]] = {
    "key of a login": lambda vm: (vm.home("primary") / ".claude.json").write_text(
        json.dumps(
            {
                **json.loads((vm.home("primary") / ".claude.json").read_text()),
                "primaryApiKey": "key-of-nobody",
            }
        )
    ),
    "helper": lambda vm: _home_settings(vm, {"apiKeyHelper": "/bin/true"}),
    "key in settings": lambda vm: _home_settings(vm, {"env": {"ANTHROPIC_AUTH_TOKEN": "x"}}),
    "provider in settings": lambda vm: _home_settings(vm, {"env": {"CLAUDE_CODE_USE_VERTEX": 1}}),
    "helper of the project": lambda vm: _project_settings(
        vm, "settings.json", {"apiKeyHelper": "/bin/true"}
    ),
    "key of the project": lambda vm: _project_settings(
        vm, "settings.local.json", {"env": {"ANTHROPIC_API_KEY": "x"}}
    ),
    "passed key": lambda vm: write(vm, 'pass_environment = ["CLAUDE_CODE_OAUTH_TOKEN"]'),
    "settings of the command": lambda vm: _command_settings(vm, "/a.json"),
    "script that gives a key": lambda vm: _script(vm, "export ANTHROPIC_API_KEY=$(cat ~/key)"),
}


@pytest.mark.sampled(4)
@pytest.mark.parametrize("name", COUNTS)
def test_what_counts_as_a_login(claude: Vm, name: str) -> None:
    log_out(claude, "primary")
    COUNTS[name](claude)
    assert ([], []) == told(claude)


def test_provider_of_the_environment_counts(claude: Vm) -> None:
    log_out(claude, "primary")
    assert ([], []) == told(claude, CLAUDE_CODE_USE_BEDROCK="1")
    assert ([(FAILED, "not-logged-in")], []) == told(claude, CLAUDE_CODE_USE_BEDROCK="0")


def test_key_of_the_shell_is_kept_back_from_sessions_and_does_not_count(claude: Vm) -> None:
    log_out(claude, "primary")
    assert ([(FAILED, "not-logged-in")], []) == told(claude, ANTHROPIC_API_KEY="x")


@pytest.mark.parametrize("line", ["exec true", "# see ANTHROPIC_DOCS"])
def test_script_that_gives_none_does_not_count(claude: Vm, line: str) -> None:
    log_out(claude, "primary")
    _script(claude, line)
    assert ([(FAILED, "not-logged-in")], []) == told(claude)


def test_session_that_is_no_client_needs_no_login(vm: Vm) -> None:
    vm.write({"api": ["sleep", "600"]})
    assert ([], []) == told(vm)


def test_family_can_be_switched_off_with_a_reason(claude: Vm) -> None:
    log_out(claude, "primary")
    claude.write(
        {"api": [str(claude.root / "claude")]}, more='[invariants.off]\nlogins = "by a proxy"'
    )
    assert ([], []) == told(claude)


def test_gate_gets_the_providers_that_sessions_get(tmp_path: Path) -> None:
    given = dict.fromkeys((*PROVIDERS, *KEYS), "1")
    assert dict.fromkeys(PROVIDERS, "1") == early.gate_environment(given)


def test_switch_leaves_a_report_that_tells_of_every_login_it_asks_for(claude: Vm) -> None:
    assert 0 == claude.run("up").returncode
    assert 0 == claude.run("switch", "api", "backup").returncode
    done = claude.run("status")
    assert 0 == done.returncode, done.stdout
