"""Makes ``docs/invariants.md`` from docstrings: ``python -m tests.invariants_page``."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import NamedTuple

from invariants.checks import FAMILIES, KEPT_ON, directory
from tests.vm import CHECKOUT

PAGE = CHECKOUT / "docs" / "invariants.md"
PARTS = ("Why", "Source", "To do")

_HEAD = """# What must hold, and why

Made from the docstrings of `invariants/test_*.py` by `python -m tests.invariants_page`; a test
holds the two against each other. `launcher check` runs all, `pytest invariants -k NAME` one.

A failure names one state; `unreadable` is the one for what could not be read, and so is not known.
One cause is told once, by the check that meets it first. Nothing secret is in a failure: no token,
no address, no value of a setting.
"""

_OFF = """Can be switched off, with the reason, which every report and `launcher status` repeat:

```toml
[invariants.off]
{name} = "why it need not hold on this VM"
```
"""


class Invariant(NamedTuple):
    """An invariant as its docstring tells it: a sentence, then its parts by their heading."""

    name: str
    sentence: str
    parts: dict[str, str]


def invariants() -> Iterator[tuple[str, Invariant]]:
    """Yield every invariant with its family's name, in the order of the modules."""
    for module in sorted({family.module for family in FAMILIES.values()}):
        with open(f"{directory()}/{module}", encoding="utf-8") as file:
            tree = ast.parse(file.read())
        for node in tree.body:
            name = getattr(node, "name", "").removeprefix("test_")
            if isinstance(node, ast.FunctionDef) and name in FAMILIES:
                text = ast.get_docstring(node) or ""
                yield FAMILIES[name].name, _read(name, text)


def _read(name: str, docstring: str) -> Invariant:
    sentence, _, rest = docstring.partition("\n\n")
    heads = "|".join(PARTS)
    found = re.split(rf"^({heads}): ", rest, flags=re.MULTILINE)[1:]
    texts = (" ".join(text.split()) for text in found[1::2])
    return Invariant(name, sentence, dict(zip(found[::2], texts, strict=True)))


def page() -> str:
    """Return the page's text."""
    blocks, last = [_HEAD], ""
    for family, invariant in invariants():
        if family != last:
            blocks.append(f"## {family}\n")
            reason = KEPT_ON.get(family)
            blocks.append(
                f"Cannot be switched off: {reason}.\n" if reason else _OFF.format(name=family)
            )
            last = family
        blocks.append(f"### `{invariant.name}`\n\n**{invariant.sentence}**\n")
        for part in PARTS:
            text = invariant.parts[part]
            blocks.append(f"*{part}.* {text[0].upper()}{text[1:]}\n")
    return "\n".join(blocks)


if __name__ == "__main__":
    PAGE.write_text(page())
