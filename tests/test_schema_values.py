"""Values that an inventory may not give: names, numbers, characters."""

from __future__ import annotations

import tomllib
from copy import deepcopy

import pytest

from invariants.schema import decode
from tests.documents import PATH, WHOLE, changed, problems

BAD_NAMES = ["-lead", "_lead", "a/b", "..", "a b", "a\n", "ä", "a:b", "a\x1b[m"]


@pytest.mark.parametrize("name", [*BAD_NAMES, "a.b"])
@pytest.mark.parametrize("place", ["accounts[1].name", "sessions[0].name"])
def test_bad_name_is_refused(place: str, name: str) -> None:
    (wrong,) = problems(changed(place, name))

    assert wrong.startswith(f"{place}: ")
    assert wrong.isprintable()


@pytest.mark.parametrize("name", [*BAD_NAMES, "", ".", ".hidden"])
def test_bad_link_name_is_refused(name: str) -> None:
    (wrong,) = problems(changed("shared.links[1]", name))

    assert wrong.startswith("shared.links[1]: ")
    assert "is not a name: it takes letters, digits, '.', '_' and '-'" in wrong
    assert wrong.isprintable()


@pytest.mark.parametrize("place", ["accounts[1].name", "sessions[0].name", "shared.links[1]"])
def test_name_is_200_characters_at_most(place: str) -> None:
    refusal = f"{place}: a name of 201 characters is too long: at most 200"

    assert [] == problems(changed(place, "n" * 200))
    assert [refusal] == problems(changed(place, "n" * 201))


@pytest.mark.parametrize("name", ["v1.json", "a..b", "0", "a.", "A_-9"])
def test_links_name_may_hold_dots(name: str) -> None:
    inventory, wrong = decode(changed("shared.links[1]", name), PATH)

    assert [] == wrong
    assert f"/srv/claude/{name}" == inventory.links[1].target


@pytest.mark.parametrize(
    ("place", "value", "refusal"),
    [
        ("accounts[1].name", "primary", "the account 'primary' is defined twice"),
        ("shared.links[1]", "projects", "the link 'projects' is named twice"),
        ("sessions[0].account", "other", "there is no account 'other'"),
        ("launcher.backend", "systemd-x", "unknown backend 'systemd-x'; known are "),
        ("sessions[0].restart", "always", "unknown policy 'always'; known are no, on-failure"),
        ("sessions[0].limits", {"TasksMax": 5}, 'takes launcher.backend = "systemd": '),
        ("sessions[0].command[0]", "", "must name a program"),
        ("sessions[0].pass_environment[0]", "A=B", "not a variable's name: 'A=B'"),
        ("sessions[0].failover[0]", "back", "there is no account 'back'"),
        ("sessions[0].pass_environment[0]", "A\n", "not a variable's name: 'A\\n'"),
        ("accounts[1].home", "~nosuchuser/x", "there is no user 'nosuchuser'"),
        ("shared.root", "~nosuchuser", "there is no user 'nosuchuser'"),
    ],
)
def test_value_out_of_range_is_refused(place: str, value: str, refusal: str) -> None:
    (wrong,) = problems(changed(place, value))

    assert wrong.startswith(f"{place}: {refusal}")


def test_session_defined_twice_is_refused() -> None:
    document = deepcopy(WHOLE)
    document["sessions"] *= 2

    assert ["sessions[1].name: the session 'api' is defined twice"] == problems(document)


def test_account_link_and_session_may_share_a_name() -> None:
    document = changed("accounts[1].name", "projects")
    document["sessions"][0]["name"] = "projects"

    assert [] == problems(document)


@pytest.mark.parametrize("literal", ["nan", "-nan", "inf", "-inf", "0", "-0.0", "-1", "3600.1"])
def test_timeout_out_of_range_is_refused(literal: str) -> None:
    value = tomllib.loads(f"x = {literal}")["x"]

    assert [f"launcher.timeout: must be above 0 and at most 3600 seconds, not {value}"] == problems(
        changed("launcher.timeout", value)
    )


@pytest.mark.parametrize("literal", ["nan", "inf", "-1", "-0.1", "60.1"])
def test_settle_out_of_range_is_refused(literal: str) -> None:
    value = tomllib.loads(f"x = {literal}")["x"]

    assert [f"launcher.settle: must be from 0 and at most 60 seconds, not {value}"] == problems(
        changed("launcher.settle", value)
    )


@pytest.mark.parametrize(
    ("place", "value"), [("timeout", 3600), ("timeout", 0.001), ("settle", 0), ("settle", 60)]
)
def test_seconds_at_the_edge_are_taken(place: str, value: float) -> None:
    inventory, wrong = decode(changed(f"launcher.{place}", value), PATH)

    assert [] == wrong
    assert value == getattr(inventory.settings, place)


def test_number_too_long_to_print_is_refused() -> None:
    """Python prints no integer of more than 4,300 digits, and TOML can hold one in base 16."""
    assert [
        "launcher.timeout: must be above 0 and at most 3600 seconds, "
        "not a number of more than 64 bits"
    ] == problems(changed("launcher.timeout", 1 << 20_000))


@pytest.mark.parametrize("character", ["\0", "\n", "\x1b", "\x7f", "\u202e"])
@pytest.mark.parametrize(
    "place",
    [
        "shared.root",
        "shared.targets.projects",
        "accounts[1].home",
        "sessions[0].directory",
        "sessions[0].account",
        "launcher.state",
        "launcher.report",
    ],
)
def test_control_character_is_refused_and_shown_escaped(place: str, character: str) -> None:
    wrong = problems(changed(place, f"/a{character}b"))
    value = ascii(f"/a{character}b")

    assert f"{place}: holds a character that cannot be printed: {value}" in wrong
    assert all(problem.isprintable() for problem in wrong)


@pytest.mark.parametrize("place", ["shared.links[0]", "sessions[0].command[0]"])
def test_nul_in_an_array_is_refused(place: str) -> None:
    assert f"{place}: holds a NUL character" in problems(changed(place, "a\0b"))


def test_commands_later_words_may_be_any_text() -> None:
    command = ["claude", "", "two\nlines", "\x1b"]

    assert [] == problems(changed("sessions[0].command", command))


@pytest.mark.parametrize("place", ["shared", "shared.targets", "accounts[0]"])
def test_control_character_in_a_key_is_shown_escaped(place: str) -> None:
    wrong = problems(changed(place, {"a\n\x1bb": 1}))

    assert any(problem.startswith(f"{place}.'a\\n\\x1bb': ") for problem in wrong)
    assert all(problem.isprintable() for problem in wrong)


def test_control_character_in_a_link_is_escaped_wherever_it_is_told() -> None:
    wrong = problems(changed("shared", {"root": "/r", "links": ["a\nb"], "targets": {"x": "/x"}}))

    assert all(problem.isprintable() for problem in wrong)


def test_targets_key_that_is_not_bare_is_quoted_in_its_place() -> None:
    document = changed("shared.links", ["projects", "my.link"])
    document["shared"]["targets"]["my.link"] = 5

    assert ["shared.targets.'my.link': must be a string, not a number"] == problems(document)


def test_home_that_nobody_has_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """A uid without a passwd entry and without HOME has no ``~``."""
    monkeypatch.setattr("os.path.expanduser", lambda path: path)
    del (document := changed("accounts[1].home", "~/b"))["launcher"]

    assert [
        "accounts[1].home: nobody's home is known: set HOME, or no '~'",
        "launcher.state: nobody's home is known: set HOME, or no '~'",
    ] == problems(document)


def test_state_without_a_home_is_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.path.expanduser", lambda path: path)

    assert ["launcher.state: nobody's home is known: set HOME, or no '~'"] == problems(
        changed("launcher.state", "~/state")
    )
