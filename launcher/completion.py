"""Completion scripts for shells, from the same parser as the help (shtab makes them).

The scripts are static: a TAB on a verb or an option starts no Python. Only a name that the
inventory gives is asked for, from ``launcher completion --names``.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator

SHELLS = ("bash", "zsh", "fish")
KINDS = ("accounts", "links", "sessions", "words")

_BY_METAVAR = {
    "ACCOUNT": "accounts",
    "LINK": "links",
    "SESSION": "sessions",
    "WORD": "words",
}
_FILES = ("PATH", "FILE")

_PREAMBLES = {
    # COMP_WORDS has --inventory=PATH in three words. $1 is what is typed of the name.
    "bash": """
_launcher_names() {
  local kind=$1 typed=$2 option= word i
  for ((i = 1; i < COMP_CWORD; i++)); do
    if [[ ${COMP_WORDS[i]} == --inventory ]]; then
      word=${COMP_WORDS[i + 1]}
      [[ $word == = ]] && word=${COMP_WORDS[i + 2]}
      option=--inventory=$word
    fi
  done
  compgen -W "$(command "${COMP_WORDS[0]}" ${option:+"$option"} completion --names "$kind" \\
    2>/dev/null)" -- "$typed"
}
""",
    # Within a verb `words` starts at the verb, so the line itself is read. $service is the program.
    "zsh": """
_launcher_names() {
  local -a option names typed
  typed=(${(z)LBUFFER})
  local -i at=${typed[(I)--inventory]}
  (( at )) && option=(--inventory ${(Q)typed[at + 1]})
  at=${typed[(I)--inventory=*]}
  (( at )) && option=(${(Q)typed[at]})
  names=(${(f)"$(command ${service:-launcher} $option completion --names $1 2>/dev/null)"})
  compadd -a names
}
""",
    "fish": """
function _launcher_names
  set -l option
  set -l words (commandline -opc)
  for at in (seq 2 (count $words))
    switch $words[$at]
      case --inventory
        set option --inventory $words[(math $at + 1)]
      case '--inventory=*'
        set option $words[$at]
    end
  end
  command $words[1] $option completion --names $argv[1] 2>/dev/null
end
""",
}

_FUNCTIONS = {
    "bash": '_launcher_{kind}() {{ _launcher_names {kind} "$1"; }}\n',
    "zsh": "_launcher_{kind}() {{ _launcher_names {kind} }}\n",
    "fish": "",
}


def script(parser: argparse.ArgumentParser, shell: str) -> str:
    """Return what *shell* (one of SHELLS) sources to complete the command line of *parser*.

    What stands for an account, a link, a session or a file is told by its metavar, so that a new
    verb is completed without a word about it here.
    """
    import shtab

    for action in _actions(parser):
        metavar = str(action.metavar or "").removeprefix("-- ")
        if kind := _BY_METAVAR.get(metavar):
            action.complete = _complete(kind)  # type: ignore[attr-defined]  # shtab looks for it
        elif metavar in _FILES:
            action.complete = shtab.FILE  # type: ignore[attr-defined]  # the same
    preamble = _PREAMBLES[shell] + "".join(_FUNCTIONS[shell].format(kind=kind) for kind in KINDS)
    return shtab.complete(parser, shell, preamble=preamble)


def _complete(kind: str) -> dict[str, str]:
    function = f"_launcher_{kind}"
    return {"bash": function, "zsh": function, "fish": f"(_launcher_names {kind})"}


def _actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """Yield the actions of *parser* and of its verbs."""
    for action in parser._actions:
        yield action
        if isinstance(action, argparse._SubParsersAction):
            for verb in action.choices.values():
                yield from _actions(verb)
