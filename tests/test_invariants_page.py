"""``docs/invariants.md`` says what the docstrings say, and these say all that it needs."""

from __future__ import annotations

import pytest

from invariants.checks import FAMILIES
from tests.invariants_page import PAGE, PARTS, Invariant, invariants, page

ALL = [invariant for _, invariant in invariants()]


def test_page_is_what_the_docstrings_make_of_it() -> None:
    assert page() == PAGE.read_text(), "python -m tests.invariants_page writes it anew"


def test_page_has_every_invariant() -> None:
    assert set(FAMILIES) == {invariant.name for invariant in ALL}


@pytest.mark.parametrize("invariant", ALL, ids=lambda one: str(one.name))
def test_invariant_tells_why_whence_and_what_to_do(invariant: Invariant) -> None:
    assert list(PARTS) == list(invariant.parts)
    assert all(len(text) > 10 and text.endswith((".", ").")) for text in invariant.parts.values())
