"""The page in headless Chromium: accessible, self-contained, and readable everywhere."""

from __future__ import annotations

from typing import Any

import pytest

from tests.formats.hostile import TEXTS
from tests.page.conftest import VIEWS


@pytest.fixture(params=["-".join(view) for view in VIEWS])
def view(request: pytest.FixtureRequest, views: dict[str, Any]) -> dict[str, Any]:
    """Return what was seen of each page in turn."""
    seen: dict[str, Any] = views[request.param]
    return {"name": request.param, **seen}


def test_axe_finds_no_violation(view: dict[str, Any]) -> None:
    assert [] == view["violations"]
    assert 10 < view["rules"]


def test_nothing_is_loaded_run_or_complained_of(view: dict[str, Any]) -> None:
    assert ([], [], [], 0) == (
        view["requests"],
        view["complaints"],
        view["dialogs"],
        view["scripts"],
    )


def test_page_is_as_wide_as_the_screen(view: dict[str, Any]) -> None:
    assert 0 == view["overflow"]


def test_scheme_is_the_readers(view: dict[str, Any]) -> None:
    dark = "rgb(21, 23, 27)" == view["ground"]
    assert ("-dark-" in view["name"]) == dark


def test_every_cell_has_its_headers(view: dict[str, Any]) -> None:
    assert 0 == view["unlabelled"]
    assert "H1" == view["headings"][0]
    assert 1 == view["headings"].count("H1")


def test_whatever_scrolls_or_unfolds_is_reached_by_key_and_seen_to_be(
    view: dict[str, Any],
) -> None:
    focused = view["focused"]
    assert all(one["outline"] == "solid" for one in focused)
    kind = view["name"].rsplit("-", 2)[0]
    fixes = [one for one in focused if one["tag"] == "PRE"]
    expected = {"red": 1, "hostile": 2, "many": 3, "fleet": 1, "fleet-many": 1}
    expected |= {"warned": 1, "fleet-warned": 1, "fleet-hostile": len(TEXTS) + 1}
    assert expected.get(kind, 0) == len(fixes)
    assert ("SUMMARY" in [one["tag"] for one in focused]) == (
        kind in ("many", "fleet-hostile", "fleet-many")
    )


def test_one_click_takes_the_whole_fix(views: dict[str, Any]) -> None:
    copied = views["red-light-desktop"]["copied"]
    assert copied.startswith("mkdir ")
    assert copied.endswith("failover.toml")
