"""The report's JSON Schema: shipped, printed, and strict enough to fail."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
from jsonschema import ValidationError

from launcher.cli import main
from tests.formats.told import left_by_gates
from tests.schema import SCHEMA, validated


@pytest.fixture
def document() -> dict[str, Any]:
    """Return the report of a red gate, to be spoiled."""
    return deepcopy(left_by_gates()["red"])


def test_schema_is_printed_without_an_inventory(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["status", "--schema"])
    assert 0 == stopped.value.code
    assert SCHEMA.read_text() == capfd.readouterr().out


def test_report_of_a_red_gate_is_valid(document: dict[str, Any]) -> None:
    assert "red" == validated(document)["failover"]["verdict"]


def test_key_that_is_added_is_no_fault(document: dict[str, Any]) -> None:
    for place in (document, document["failover"], document["failover"]["failures"][0]):
        place["new"] = 1
    validated(document)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *(("schema", 2), ("verdict", "purple"), ("verdict", "green"), ("verdict", "unknown")),
        *(("reason", "why"), ("started", "now"), ("expected", -1), ("failures", [])),
        *(("inventory", "failover.toml"), ("sessions", [{"name": "api"}]), ("failures", [{}])),
        ("sessions", [{"name": "a", "account": "b", "state": "lost", "detail": None}]),
    ],
)
def test_wrong_report_is_not_valid(document: dict[str, Any], key: str, value: object) -> None:
    document["failover"][key] = value
    with pytest.raises(ValidationError):
        validated(document)


LATER = {"demands", "warnings"}
IN_A_CONTAINER = {"uptime"}
"""Keys that were added to schema 1: the reports of earlier versions lack them."""


def test_no_key_can_be_left_out(document: dict[str, Any]) -> None:
    assert document["failover"].keys() >= LATER
    for key in document["failover"].keys() - LATER - IN_A_CONTAINER:
        left = {name: value for name, value in document["failover"].items() if name != key}
        with pytest.raises(ValidationError):
            validated({**document, "failover": left})


def test_report_of_an_earlier_version_is_valid(document: dict[str, Any]) -> None:
    for key in LATER:
        del document["failover"][key]
    validated(document)


WARNING = {
    "invariant": "session_is_in_inventory",
    "account": "primary",
    "link": None,
    "session": "old",
    "found": "it runs",
    "fix": "launcher down old",
}


@pytest.mark.parametrize("colour", ["green", "red"])
def test_warning_is_valid_below_every_verdict(colour: str) -> None:
    document = deepcopy(left_by_gates()[colour])
    document["failover"]["warnings"] = [WARNING, {**WARNING, "session": None, "later": 1}]
    validated(document)


@pytest.mark.parametrize(
    "warnings",
    [
        *(None, {}, "x", ["x"], [WARNING, WARNING], [{**WARNING, "found": None}]),
        *([{**WARNING, "session": 1}], [{**WARNING, "fix": ["launcher"]}]),
        *([{key: WARNING[key] for key in WARNING if key != left}] for left in WARNING),
    ],
)
def test_malformed_warning_is_not_valid(document: dict[str, Any], warnings: object) -> None:
    document["failover"]["warnings"] = warnings
    with pytest.raises(ValidationError):
        validated(document)
