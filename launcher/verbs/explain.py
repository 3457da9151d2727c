"""``explain``: what a state, an invariant or an exit code means, and what to do."""

from __future__ import annotations

import argparse
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

from launcher.errors import ExitCode
from launcher.verbs.call import Call, Verb, json_argument

if TYPE_CHECKING:
    from launcher.meanings import Topic

_WIDTH = 80


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "word",
        nargs="?",
        metavar="WORD",
        help="a state, an invariant, a verdict or an exit code; default: all of them",
    )
    json_argument(parser)


def run(call: Call) -> int:
    """Say what a word means, or list all words."""
    from launcher.explain import explain, topics

    word = call.arguments.word
    found = topics() if word is None else explain(word)

    text = _list(found) if word is None else "\n".join(map(_text, found))
    call.print([topic.as_json() for topic in found], lambda _: text)
    return ExitCode.OK


def _list(topics: Sequence[Topic]) -> str:
    kinds: dict[str, list[str]] = {}
    for topic in topics:
        kinds.setdefault(topic.kind, []).append(topic.name)
    blocks = [f"{kind}\n{_wrapped(', '.join(names), '  ', '  ')}" for kind, names in kinds.items()]
    return "\n".join([*blocks, "launcher explain WORD tells what it means.\n"])


def _text(topic: Topic) -> str:
    lines = [f"{topic.name} ({topic.kind})\n"]
    for label, words in (("means", topic.means), ("matters", topic.matters), ("do", topic.do)):
        lines.append(_wrapped(words, f"  {label:<8} ", " " * 11))
    return "".join(lines)


def _wrapped(text: str, first: str, rest: str) -> str:
    lines = textwrap.wrap(
        text,
        _WIDTH,
        initial_indent=first,
        subsequent_indent=rest,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return "\n".join(lines) + "\n"


VERB = Verb(
    _arguments,
    run,
    writes=False,
    inventory=False,
)
