"""A table gives its keys one by one and keeps a list of what is wrong."""

from __future__ import annotations

import datetime

import pytest

from invariants.decoding import Table, kind, shown_key


def test_taker_returns_the_value_and_notes_nothing() -> None:
    problems: list[str] = []
    table = Table({"a": "x", "b": ["y"], "c": 2, "d": {"e": "z"}}, "", problems)

    assert "x" == table.text("a")
    assert ("y",) == table.texts("b")
    assert 2.0 == table.seconds("c", at_most=3)
    assert "z" == table.table("d").text("e")
    assert [] == problems


def test_absent_key_is_nothing_and_no_problem() -> None:
    problems: list[str] = []
    table = Table({}, "", problems)

    assert table.text("a") is None
    assert table.texts("a") is None
    assert table.seconds("a", at_most=1) is None
    assert [] == table.tables("a")
    assert table.table("a").text("b") is None
    assert [] == problems


def test_place_of_a_problem_is_that_of_the_file() -> None:
    problems: list[str] = []
    top = Table({"accounts": [{}, {"inner": {"key": 5}}]}, "", problems)
    top.tables("accounts")[1].table("inner").text("key")

    assert ["accounts[1].inner.key: must be a string, not a number"] == problems


def test_every_wrong_element_of_an_array_is_noted() -> None:
    problems: list[str] = []

    assert Table({"a": [1, "x", True, "\0"]}, "t", problems).texts("a") is None
    assert [
        "t.a[0]: must be a string, not a number",
        "t.a[2]: must be a string, not true or false",
        "t.a[3]: holds a NUL character",
    ] == problems


def test_wrong_key_is_remembered() -> None:
    table = Table({"a": 1}, "t", [])
    table.text("a")

    assert table.is_wrong("a")
    assert not table.is_wrong("b")


def test_key_that_was_asked_for_is_known() -> None:
    problems: list[str] = []
    table = Table({"a": 1, "b": 2, "c": 3, "d": 4}, "", problems)
    table.seconds("a", at_most=9)
    assert "b" in table
    assert "e" not in table
    table.refuse_unknown()

    assert ["c: unknown key; known are a, b, e", "d: unknown key; known are a, b, e"] == problems


def test_names_of_the_users_are_all_known() -> None:
    problems: list[str] = []
    table = Table({"x": 1, "y": 2}, "", problems)

    assert ["x", "y"] == table.names()
    table.refuse_unknown()
    assert [] == problems


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("", "a string"),
        (0, "a number"),
        (0.5, "a number"),
        (False, "true or false"),
        ([], "an array"),
        ({}, "a table"),
        (datetime.date(2024, 1, 2), "a date or time"),
        (datetime.datetime(2024, 1, 2), "a date or time"),
        (datetime.time(1, 2), "a date or time"),
    ],
)
def test_kind_is_the_word_of_a_user(value: object, expected: str) -> None:
    assert expected == kind(value)


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("home", "home"),
        ("session-env", "session-env"),
        ("1st", "1st"),
        ("command[0]", "command[0]"),
        ("my.link", "'my.link'"),
        ("", "''"),
        ("a b", "'a b'"),
        ("a\n", "'a\\n'"),
    ],
)
def test_key_is_shown_as_the_file_spells_it(key: str, expected: str) -> None:
    assert expected == shown_key(key)
