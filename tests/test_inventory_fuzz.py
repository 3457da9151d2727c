"""Whatever a file holds, it is an inventory or it is refused with every problem on one line."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from invariants.inventory import Inventory, InventoryError, load
from tests.documents import WHOLE

KEYS = sorted({key for table in (WHOLE, WHOLE["shared"], WHOLE["launcher"]) for key in table})
KEYS += sorted({key for name in ("accounts", "sessions") for key in WHOLE[name][0]})
TEXTS = st.one_of(
    st.text(max_size=8), st.sampled_from(["~", "/a", "/a/b", "a", "auto", "projects"])
)
SCALARS = st.one_of(TEXTS, st.integers(), st.floats(), st.booleans(), st.dates(), st.times())


def containers(children: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    keys = st.one_of(st.sampled_from(KEYS), TEXTS)
    return st.one_of(st.lists(children, max_size=4), st.dictionaries(keys, children, max_size=6))


NESTED = st.recursive(SCALARS, containers, max_leaves=20)
DOCUMENTS = st.fixed_dictionaries(
    {}, optional=dict.fromkeys([*WHOLE, "zzz"], NESTED)
) | st.dictionaries(TEXTS, NESTED, max_size=4)


def toml(value: object) -> str:
    """Spell *value* in TOML, every character of a text by its number."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{toml(key)} = {toml(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return f"[{', '.join(map(toml, value))}]"
    if isinstance(value, str):
        return '"' + "".join(f"\\U{ord(character):08x}" for character in value) + '"'
    return str(value).lower()


def judged(content: bytes) -> Inventory | None:
    """Load *content*: an inventory, or problems of which each is one printable line."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "failover.toml")
        path.write_bytes(content)
        path.chmod(0o600)
        try:
            return load(str(path))
        except InventoryError as error:
            problems = error.problems
    assert problems
    assert [] == [problem for problem in problems if not problem.isprintable()]
    return None


@settings(database=None, deadline=None)
@given(st.one_of(st.binary(), st.text().map(lambda text: text.encode("utf-8", "surrogatepass"))))
def test_any_content_is_an_inventory_or_an_inventory_error(content: bytes) -> None:
    judged(content)


@settings(database=None, deadline=None, max_examples=300)
@given(DOCUMENTS)
def test_any_document_is_an_inventory_or_an_inventory_error(document: dict[str, object]) -> None:
    judged("\n".join(f"{toml(key)} = {toml(value)}" for key, value in document.items()).encode())


@settings(database=None, deadline=None)
@given(st.lists(TEXTS, min_size=1, max_size=3), st.lists(TEXTS, min_size=1, max_size=3))
def test_inventory_that_is_taken_has_paths_of_its_own(names: list[str], homes: list[str]) -> None:
    tables = [
        f"[[accounts]]\nname = {toml(name)}\nhome = {toml(home)}\n"
        for name, home in zip(names, homes, strict=False)
    ]
    inventory = judged(f'[shared]\nroot = "/srv"\n{"".join(tables)}'.encode())
    if inventory is not None:
        homes = [account.home for account in inventory.accounts]
        assert homes == [os.path.abspath(home) for home in homes]
        assert len(homes) == len(set(homes)) == len(tables)
