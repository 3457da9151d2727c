"""The manual page, from the same parser as the help, in the macros of man(7).

Written here rather than by argparse-manpage: that one is no wheel, so each machine would build it,
and it dates each page by the day on which it was printed.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from invariants.inventory import VARIABLE
from invariants.schema import DEFAULT_STATE
from launcher import __version__
from launcher.errors import EXIT_CODES

_NAME = "start Claude Code sessions where all accounts share their state"

_FILES = (
    ("~/.config/claude-failover/failover.toml", "The user's inventory; launcher init writes one."),
    ("/etc/claude-failover/failover.toml", "The system's inventory, where the user has none."),
    (f"{DEFAULT_STATE}/report.json", "The report of the last gate, for monitoring."),
)
_ENVIRONMENT = (
    (VARIABLE, "The inventory, where --inventory names none."),
    ("NO_COLOR", "Where it is set, nothing is printed in colour."),
)


def manual(parser: argparse.ArgumentParser) -> str:
    """Return the manual page of *parser* as roff(7) source."""
    parts = [
        f'.TH LAUNCHER 1 "" {_word(f"claude-failover {__version__}")} "User Commands"',
        *_section("NAME", [f"launcher \\- {_text(_NAME)}"]),
        *_section("SYNOPSIS", [*_usage(parser, ["launcher"]), "VERB ..."]),
        *_section("DESCRIPTION", [_text(parser.description or "")]),
        *_section("OPTIONS", _options(parser)),
        *_section("VERBS", []),
    ]
    for name, help_text, verb in _verbs(parser):
        parts += [f".SS {_word(f'launcher {name}')}", _sentence(help_text), ".PP"]
        parts += [*_usage(verb, ["launcher", name]), *_options(verb)]
    codes = [(str(code.value), _sentence(text)) for code, text in EXIT_CODES.items()]
    parts += _section("EXIT STATUS", _terms([*codes, ("128 + n", "Ended by signal n.")]))
    parts += _section("FILES", _terms(_FILES))
    parts += _section("ENVIRONMENT", _terms(_ENVIRONMENT))
    return "\n".join(parts) + "\n"


def _section(title: str, lines: list[str]) -> list[str]:
    return [f".SH {_word(title)}", *lines]


def _verbs(
    parser: argparse.ArgumentParser,
) -> Iterator[tuple[str, str, argparse.ArgumentParser]]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            helps = {choice.dest: choice.help or "" for choice in action._choices_actions}
            for name, verb in action.choices.items():
                yield name, helps[name], verb


def _shown(parser: argparse.ArgumentParser) -> list[argparse.Action]:
    """Return what stands in the page: --help, which every verb takes, once for them all."""
    kinds: tuple[type[argparse.Action], ...] = (argparse._SubParsersAction,)
    if " " in parser.prog:  # a verb's
        kinds += (argparse._HelpAction,)
    return [
        action
        for action in parser._actions
        if action.help != argparse.SUPPRESS and not isinstance(action, kinds)
    ]


def _usage(parser: argparse.ArgumentParser, words: list[str]) -> list[str]:
    """Return how it is called, a word of the command a line: bold is typed as it stands."""
    lines = [f".B {_text(' '.join(words))}"]
    for action in _shown(parser):
        if action.option_strings:
            lines.append(f"[{_option(action.option_strings[-1], action)}]")
        else:
            many = {"*": "[{} ...]\\&", "+": "{} ...\\&", "?": "[{}]"}.get(str(action.nargs), "{}")
            lines.append(many.format(_argument(action)))
    return lines


def _options(parser: argparse.ArgumentParser) -> list[str]:
    terms = []
    for action in _shown(parser):
        names = [_option(name, action) for name in action.option_strings] or [_argument(action)]
        terms.append((", ".join(names), _sentence((action.help or "") % {"prog": "launcher"})))
    return [line for term, text in terms for line in (".TP", term, text or "\\&")]


def _terms(terms: list[tuple[str, str]] | tuple[tuple[str, str], ...]) -> list[str]:
    return [line for term, text in terms for line in (".TP", f".B {_text(term)}", _text(text))]


def _option(name: str, action: argparse.Action) -> str:
    value = "" if action.nargs == 0 else f" {_argument(action)}"
    return f"\\fB{_text(name)}\\fR{value}"


def _argument(action: argparse.Action) -> str:
    choices = ",".join(map(str, action.choices)) if action.choices else ""
    return f"\\fI{_text(str(action.metavar or choices or action.dest))}\\fR"


def _sentence(text: str) -> str:
    return _text(f"{text[0].upper()}{text[1:]}.") if text else ""


def _text(text: str) -> str:
    """Return *text* as roff takes it literally: no request by chance, hyphens as typed."""
    escaped = text.replace("\\", "\\e").replace("-", "\\-").replace("\n", " ")
    return f"\\&{escaped}" if escaped[:1] in (".", "'") else escaped


def _word(text: str) -> str:
    return '"' + _text(text).replace('"', "\\(dq") + '"'
