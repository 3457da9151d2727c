"""``explain``: finds what a word of a report means, and what an invariant asks for."""

from __future__ import annotations

import ast
import os
import re
from difflib import get_close_matches

from invariants.checks import FAMILIES, directory
from launcher.errors import WrongUsage
from launcher.meanings import TOPICS, Topic

INVARIANT = "invariant"

_DO = "What stands behind `fix` at the failure; its state says more: launcher explain STATE."
_ABOUT = {
    "account": "each account",
    "entry": "each account and link",
    "link": "each link",
    "session": "each session",
    "own-file": "each account and each file of its login",
    "start": "each account and each session that may run there",
    "compared": "each account",
    "claude": "each session of Claude Code",
    "conversation": "each session of Claude Code",
    "machine": "the whole machine",
}


def topics() -> list[Topic]:
    """Return all that can be explained: the invariants first, as their tests' docstrings say."""
    return [*map(_invariant, FAMILIES), *TOPICS]


def explain(word: str) -> list[Topic]:
    """Return what *word* means: more than one topic where it is said of several things.

    A word is taken with or without ``test_`` in front. Raises WrongUsage, with the words that
    resemble it, where nothing is known of it.
    """
    wanted = word.removeprefix("test_")
    known = topics()
    found = [topic for topic in known if topic.name == wanted]
    if found:
        return found
    names = list(dict.fromkeys(topic.name for topic in known))
    near = get_close_matches(wanted, names, n=3)
    hint = f"did you mean {', '.join(near)}?" if near else "launcher explain lists them all"
    raise WrongUsage(f"nothing is known of {word!r}; {hint}")


def _invariant(name: str) -> Topic:
    """Read the docstring of an invariant's test, without importing pytest for it.

    Its first paragraph says what holds; of the parts after it "Why:" and "To do:" are told.
    """
    family = FAMILIES[name]
    with open(os.path.join(directory(), family.module), "rb") as file:
        tree = ast.parse(file.read())
    docstring = next(
        ast.get_docstring(node) or ""
        for node in tree.body
        if isinstance(node, ast.FunctionDef) and node.name == f"test_{name}"
    )
    means, _, rest = docstring.partition("\n\n")
    parts = re.split(r"^(Why|Source|To do): ", rest, flags=re.MULTILINE)[1:]
    texts = {
        head: " ".join(text.split()) for head, text in zip(parts[::2], parts[1::2], strict=True)
    }
    about = _ABOUT.get(family.subject, f"the {family.subject}")
    return Topic(
        name,
        INVARIANT,
        " ".join(means.split()),
        _sentence(texts.get("Why") or f"checked for {about}; nothing starts unless it holds."),
        _sentence(texts.get("To do") or _DO),
    )


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:]
