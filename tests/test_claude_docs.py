"""The documents about Claude Code say what the table of facts says, and name no other version."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.claude.facts import ENDINGS, LEFT_OUT, TABLES, VERSIONS
from tests.claude.known import Differs, Known
from tests.claude.tables import PAGES, names, written
from tests.vm import LINKS


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.name))
def test_tables_of_a_page_are_those_of_the_facts(page: Path) -> None:
    assert written(page) == page.read_text(), "make claude-docs writes them"


def test_every_table_is_on_a_page_once() -> None:
    assert sorted([*TABLES, *LINKS]) == sorted(name for page in PAGES for name in names(page))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.name))
def test_page_names_no_version_that_is_not_run(page: Path) -> None:
    assert set(re.findall(r"\b2\.\d+\.\d+\b", page.read_text())) <= set(VERSIONS)


def test_every_row_has_a_value_for_each_version() -> None:
    rows = [*(values for table in TABLES.values() for values in table.values()), *ENDINGS.values()]
    assert {len(VERSIONS)} == {len(values) for values in rows}
    assert set(LEFT_OUT) <= set(VERSIONS)


@pytest.mark.parametrize(
    ("version", "nearest"),
    [("2.1.332", 0), ("2.1.400", 0), ("2.1.331", 1), ("2.1.151", 2), ("2.1.9", 3), ("2.0.1", 3)],
)
def test_version_that_is_not_pinned_is_compared_with_the_nearest_older_one(
    version: str, nearest: int
) -> None:
    assert nearest == Known(version).column


def test_fact_that_differs_is_named_with_both_values() -> None:
    known = Known("2.0.76")
    known.hold("sign of the prompt", ">")
    with pytest.raises(Differs, match="sign of the prompt: '>' is known, '❯' is measured"):
        known.hold("sign of the prompt", "❯")
