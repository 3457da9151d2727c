"""The page as text: what stands in it, and that no value can become part of it."""

from __future__ import annotations

import base64
import hashlib
import re
import stat
import time
from html.parser import HTMLParser
from pathlib import Path

import pytest

from launcher.history import History
from launcher.page import LISTED, OPENING, page, write_page
from launcher.page.timeline import WIDTH, history_of, strip
from tests.formats.conftest import documents, told
from tests.formats.hostile import TEXTS, spoil
from tests.formats.told import WARNING, Told
from tests.page.pages import KINDS, MANY, drawn, history

__all__ = ["documents", "told"]


class Tags(HTMLParser):
    """The tags of a page, with the names of their attributes, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.words = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append(" ".join([tag, *sorted(name for name, _ in attributes)]))

    def handle_data(self, data: str) -> None:
        self.words += data


VERDICTS = {
    "green": "Green",
    "red": "Red",
    "unknown": "Unknown",
    "stale": "Unknown",
    "missing": "Unknown",
    "hostile": "Red",
    "many": "Red",
    "session": "Green",
    "warned": "Green",
}


@pytest.mark.parametrize("kind", KINDS)
def test_page_of_every_report_says_its_verdict_first(told: Told, kind: str) -> None:
    text = drawn(told, kind)
    assert text.startswith(OPENING)
    words = Tags(text).words.partition("}\n")[2]
    heading = re.search(r"<h1>.*</span> (\w+)</h1>", text)
    assert heading is not None
    assert VERDICTS[kind] == heading[1]
    if VERDICTS[kind] == "Unknown":
        assert "✓ shared" not in words
    assert ('<header class="green">' in text) == (kind in ("green", "warned"))


def test_session_that_is_not_up_is_not_painted_green(told: Told) -> None:
    assert '<header class="unknown">' in drawn(told, "session")


def test_red_tells_the_failure_its_fix_and_since_when(told: Told) -> None:
    text = drawn(told, "red")
    (failure,) = told.reading().failures
    words = Tags(text).words
    assert failure.finding.fix in words
    assert 'backup projects: <span class="state">divergent</span>' in text
    assert '<span class="mark">new</span>' in text
    assert "came backup projects: divergent" in words


@pytest.mark.parametrize("colour", ["green", "red"])
def test_warning_is_told_below_the_verdict_with_its_fix(told: Told, colour: str) -> None:
    told.warned(colour)
    text = page(told.reading(), History())
    verdict, _, rest = text.partition('<h2 id="warnings">Warnings</h2>')
    assert VERDICTS[colour] in Tags(verdict).words
    assert "<h3>session old</h3>" in rest
    assert "<dd>it runs | &lt;still&gt;</dd>" in rest
    assert "<code>launcher down old</code>" in rest


def test_warnings_of_a_report_that_does_not_count_are_not_told(told: Told) -> None:
    told.warned("green")
    text = page(told.reading(max_age=-100.0), History())
    assert 'id="warnings"' not in text


def test_more_warnings_than_can_be_read_are_counted(told: Told) -> None:
    told.warned("green", *({**WARNING, "session": f"old-{n:03}"} for n in range(LISTED + 3)))
    text = page(told.reading(), History())
    assert LISTED == text.count("<h3>session old-")
    assert "and 3 more: <code>launcher check</code>" in text


def test_accounts_that_are_right_are_folded_away_where_they_are_many(told: Told) -> None:
    text = drawn(told, "many")
    before, _, after = text.partition("<details>")
    assert f"<summary>{MANY - 3} accounts are all right</summary>" in after
    assert 3 == before.count('<tr><th scope="row">account-')
    assert MANY - 3 == after.count('<tr><th scope="row">account-')


def test_policy_allows_the_style_sheet_that_is_there(told: Told) -> None:
    text = drawn(told, "green")
    style = re.search(r"<style>(.*?)</style>", text, re.DOTALL)
    assert style is not None
    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', text)
    assert policy is not None
    assert f"style-src 'sha256-{digest}'" in policy[1].replace("&#39;", "'")
    assert not re.search(r"<script|<link|<img|<iframe| style=| src=|url\(|@import|https?:", text)


@pytest.mark.parametrize("text", TEXTS)
def test_hostile_text_stays_text(told: Told, text: str) -> None:
    told.tell(spoil(told.document("red"), "harmless"))
    past, now = history(str(told.vm.inventory), "red", time.time()), time.time()
    harmless = Tags(page(told.reading(), past, now)).tags
    told.tell(spoil(told.document("red"), text or "empty"))
    assert harmless == Tags(page(told.reading(), past, now)).tags


@pytest.mark.parametrize("text", TEXTS)
def test_hostile_name_in_a_warning_stays_text(told: Told, text: str) -> None:
    def tags(text: str) -> list[str]:
        names = {"invariant": text, "account": text, "link": text, "session": text}
        told.warned("green", {**WARNING, **names, "found": text, "fix": text or "empty"})
        return Tags(page(told.reading(), History())).tags

    assert tags("harmless") == tags(text)


def test_more_failures_than_can_be_read_are_counted(told: Told) -> None:
    document = told.document("red")
    document["failover"]["failures"] *= LISTED + 5
    told.tell(document)
    assert "and 5 more: <code>launcher check</code>" in page(told.reading(), History())


def test_verdict_that_does_not_count_is_not_dated(told: Told) -> None:
    told.case("stale")
    now = time.time()
    text = page(told.reading(), history(str(told.vm.inventory), "green", now), now)
    assert "green since" not in text
    assert "The report says green, which does not count any more." in text


def test_strip_ends_now_and_leaves_out_what_is_long_ago(told: Told) -> None:
    now = time.time()
    past = history("/f", "red", now)
    drawn = strip(past, now)
    assert drawn is not None
    assert WIDTH == pytest.approx(sum(one.width for one in drawn.stretches), abs=0.1)
    assert ["green", "unknown", "green", "red", "green", "red"] == [
        one.verdict for one in drawn.stretches
    ]
    assert "green 98.2%, red 1.4%, unknown 0.4%" == drawn.words
    later = strip(past, now + 6.5 * 86400)
    assert later is not None
    assert ["green", "red"] == [one.verdict for one in later.stretches]
    assert now - 43200 == pytest.approx(later.begin)
    assert strip(History(), now) is None
    assert strip(past, past.changes[0].at) is None
    first = strip(past, past.changes[0].at + 1)
    assert first is not None
    assert "green 100%, red 0%, unknown 0%" == first.words


def test_share_that_is_not_all_is_not_told_as_all(told: Told) -> None:
    now = time.time()
    drawn = strip(history("/f", "green", now), now)
    assert drawn is not None
    assert "100%" not in drawn.words


def test_page_is_written_whole_and_over_nothing_else(told: Told, tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    for text in (f"{OPENING}one", f"{OPENING}two \udcff"):
        write_page(str(path), text)
    assert f"{OPENING}two \\udcff" == path.read_text()
    assert 0o644 == stat.S_IMODE(path.stat().st_mode)
    path.write_text("precious")
    with pytest.raises(OSError, match="did not write"):
        write_page(str(path), OPENING)
    assert "precious" == path.read_text()


def test_history_of_another_inventory_is_not_shown(told: Told) -> None:
    from invariants.inventory import load
    from launcher.history import place

    inventory = load(str(told.vm.inventory))
    told.vm.state.mkdir()
    for content in ('{"schema": 1, "inventory": "/other"', "nonsense"):
        Path(place(inventory)).write_text(content)
        assert History() == history_of(inventory)
