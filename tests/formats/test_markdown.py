"""Markdown: what a parser makes of it (CommonMark, with the tables of GitHub)."""

from __future__ import annotations

import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token

from launcher.formats.markdown import show
from launcher.formats.words import plain
from tests.formats.hostile import TEXTS, spoil
from tests.formats.told import CASES, Told

PARSER = MarkdownIt("commonmark", {"html": True, "linkify": False}).enable("table")


def tokens(text: str) -> list[Token]:
    """Return all tokens, those of a line's parts in the place of the line."""
    return [part for token in PARSER.parse(text) for part in (token.children or [token])]


@pytest.mark.parametrize("case", CASES)
def test_first_line_says_it_all(told: Told, case: str) -> None:
    told.case(case)
    first = show(told.reading()).text.splitlines()[0]
    verdict = case if case in ("green", "red") else "unknown"
    assert f" **{verdict}**" in first
    if case in ("unknown", "stale", "missing"):
        assert "✅" not in show(told.reading()).text


def test_red_shows_the_matrix_and_the_fix(told: Told) -> None:
    told.case("red")
    text = show(told.reading()).text
    assert "| backup | ✅ | ✅ | ✅ | ❌ divergent |" in text
    (fix,) = [token for token in PARSER.parse(text) if token.type == "fence"]
    (failure,) = told.reading().failures
    assert ("sh", f"{failure.finding.fix}\n") == (fix.info, fix.content)
    tables = [token for token in PARSER.parse(text) if token.type == "table_open"]
    assert 2 == len(tables)


def test_what_is_not_known_is_not_ticked(told: Told) -> None:
    told.case("unknown")
    assert "| primary | ❔ not known | ❔ not known" in show(told.reading()).text


def kinds(text: str) -> list[str]:
    """Return the structure of a document: the kinds of its parts, without the words."""
    words = ("text", "text_special", "softbreak")
    return [token.type for token in tokens(text) if token.type not in words]


@pytest.mark.parametrize("text", [text for text in TEXTS if text])
def test_hostile_text_stays_text(told: Told, text: str) -> None:
    told.tell(spoil(told.document("red"), "harmless"))
    harmless = kinds(show(told.reading()).text)
    told.tell(spoil(told.document("red"), text))
    shown = show(told.reading()).text
    assert harmless == kinds(shown)
    contents = [token.content for token in tokens(shown) if token.type == "code_inline"]
    assert plain(text).strip() in [content.strip() for content in contents]
    fixes = [token for token in tokens(shown) if token.type == "fence"]
    assert [f"{plain(text)}\n"] * 2 == [fix.content for fix in fixes]


def test_names_that_would_be_links_or_mentions_are_escaped(told: Told) -> None:
    document = told.document("red")
    reason = "see https://e.org, www.e.org, @all, #1, <b>"
    document["failover"] |= {"verdict": "unknown", "reason": reason}
    told.tell(document)
    first = show(told.reading()).text.splitlines()[0]
    assert first.endswith("see https\\://e.org, www\\.e.org, \\@all, \\#1, \\<b\\>")
