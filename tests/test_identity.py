"""One login in two homes: told once, by the later, and without whose it is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from invariants.client import Clients
from invariants.finding import Finding
from invariants.identity import Identity
from invariants.model import Account


@pytest.fixture
def accounts(tmp_path: Path) -> list[Account]:
    made = [Account(name, str(tmp_path / name)) for name in ("a", "b", "c")]
    for account in made:
        Path(account.home).mkdir()
    return made


def login(account: Account, user: str, organization: str | None = None) -> None:
    login = {"accountUuid": user, "emailAddress": "me@example.org"}
    if organization:
        login["organizationUuid"] = organization
    (Path(account.home) / ".claude.json").write_text(json.dumps({"oauthAccount": login}))


def judged(accounts: list[Account]) -> list[Finding | None]:
    identity = Identity(accounts, Clients())
    return [identity.judge(account) for account in accounts]


def test_homes_without_a_login_or_with_their_own_are_right(accounts: list[Account]) -> None:
    login(accounts[0], "one")
    login(accounts[1], "two")

    assert [None, None, None] == judged(accounts)


def test_later_home_tells_of_the_first_and_not_whose_login_it_is(accounts: list[Account]) -> None:
    for account in accounts:
        login(account, "one")
    first, *later = judged(accounts)

    assert first is None
    assert [("same-login", "the same login as a")] * 2 == [
        finding and (finding.state, finding.found) for finding in later
    ]
    assert "example.org" not in str(later)


def test_later_home_tells_whichever_is_asked_first(accounts: list[Account]) -> None:
    login(accounts[0], "one")
    login(accounts[2], "one")
    identity = Identity(accounts, Clients())

    assert identity.judge(accounts[2]) is not None
    assert identity.judge(accounts[0]) is None
    assert identity.judge(accounts[2]) is not None


def test_one_person_has_a_limit_in_each_organization(accounts: list[Account]) -> None:
    login(accounts[0], "one", "home")
    login(accounts[1], "one", "work")
    assert [None, None, None] == judged(accounts)

    login(accounts[2], "one")
    assert [None, None, "same-login"] == [found and found.state for found in judged(accounts)]


def test_what_cannot_be_read_is_told_apart_and_hides_nothing_else(
    accounts: list[Account],
) -> None:
    login(accounts[0], "one")
    (Path(accounts[1].home) / ".claude.json").write_text("{")
    login(accounts[2], "one")

    assert [None, "unreadable", "same-login"] == [
        found and found.state for found in judged(accounts)
    ]


@pytest.mark.parametrize("value", [None, [], {"accountUuid": ""}, {"accountUuid": 5}])
def test_login_without_an_id_is_none(accounts: list[Account], value: object) -> None:
    for account in accounts:
        path = Path(account.home) / ".claude.json"
        path.write_text(json.dumps({"oauthAccount": value}))

    assert [None, None, None] == judged(accounts)


def test_copied_tokens_are_told_by_the_later_home_and_a_shared_file_is_not(
    accounts: list[Account],
) -> None:
    tokens = {"accessToken": "the-token", "refreshToken": "another"}
    first, second, third = (Path(account.home) / ".credentials.json" for account in accounts)
    first.write_text(json.dumps({"claudeAiOauth": tokens}))
    second.symlink_to(first)
    third.write_text(json.dumps({"claudeAiOauth": {**tokens, "accessToken": "renewed"}}))

    assert [None, None, ("same-tokens", "the very same tokens as a")] == [
        finding and (finding.state, finding.found) for finding in judged(accounts)
    ]
