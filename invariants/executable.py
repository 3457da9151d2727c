"""Whether a session's program can be executed: it, and the interpreter that a script names."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING

from invariants.finding import Finding, quoted
from invariants.fixes import look
from invariants.inputs import Input, Part
from invariants.model import Inventory, Session
from invariants.opening import open_at_once
from invariants.programs import candidates, find_program, looked_at, session_program

if TYPE_CHECKING:
    from invariants.judges import Judges

INVARIANT = "session_command_is_found"
_LINE = 256  # what the kernel reads of a script's first line (BINPRM_BUF_SIZE)
_ASSIGNMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=")


def inputs(inventory: Inventory, environ: Mapping[str, str]) -> Iterator[Input]:
    """Yield where the sessions' programs and the interpreters of scripts are looked for."""
    for session in inventory.sessions:
        yield from looked_at(session.command[0], session.directory, environ)
        program = session_program(session, environ)
        if program is None:
            continue
        part = Part(f"of {session.name}", partial(_interpreter, program), "its interpreter")
        yield Input(program, part, content=True)
        if (interpreter := interpreter_of(program)) is not None:
            yield from looked_at(interpreter, session.directory, environ)


def _interpreter(program: str, judges: Judges) -> object:
    return interpreter_of(program)


def judge_program(session: Session, environ: Mapping[str, str]) -> Finding | None:
    """Return why the kernel would not start the program of *session*, or None.

    *environ* is what a start would have: its ``PATH`` is where a program without a slash, and one
    that a script asks env(1) for, are looked up.
    """
    name = session.command[0]
    program = session_program(session, environ)
    if program is None:
        return _fault(session, f"the program {name}", *_absent(session, environ))
    interpreter = interpreter_of(program)
    if interpreter is None or find_program(interpreter, session.directory, environ) is not None:
        return None
    return _fault(
        session,
        f"the interpreter of {program}",
        "no-interpreter",
        f"no such executable{_place(interpreter, environ)}: {interpreter}",
        _to_do(interpreter, program),
    )


def interpreter_of(program: str) -> str | None:
    """Return the interpreter that the script *program* names, without env(1); None for no script.

    It is a path, or a name to look up in ``PATH``. None too where the file cannot be read.
    """
    try:
        with open_at_once(program) as file:
            head = file.read(_LINE)
    except OSError:
        return None
    if not head.startswith(b"#!"):
        return None
    words = os.fsdecode(head[2:].split(b"\n", 1)[0]).split(None, 1)
    if not words:
        return None
    return (_asked_of_env(words[1:]) if os.path.basename(words[0]) == "env" else None) or words[0]


def _asked_of_env(rest: list[str]) -> str | None:
    """Return the program that env(1) is asked for by the *rest* of a script's first line."""
    text = rest[0].strip() if rest else ""
    if not text.startswith("-"):
        return text or None  # the kernel passes all of it as one word
    try:
        words = shlex.split(text.removeprefix("-S")) if text.startswith("-S") else []
    except ValueError:
        return None
    return next((one for one in words if one[:1] != "-" and not _ASSIGNMENT.match(one)), None)


def _absent(session: Session, environ: Mapping[str, str]) -> tuple[str, str, str]:
    """Return state, what was found, and the fix, where there is no program to execute."""
    name = session.command[0]
    for path in candidates(name, session.directory, environ):
        if os.path.islink(path) and not os.path.exists(path):
            found = f"{path} is a symlink to {os.readlink(path)}, which is not there"
            return "dangling", found, _to_do(name, path)
        if os.path.isfile(path):
            return "not-executable", f"{path} may not be executed", quoted("chmod", "+x", path)
    return "missing", f"no such executable{_place(name, environ)}", _to_do(name, None)


def _place(name: str, environ: Mapping[str, str]) -> str:
    return "" if "/" in name else f" in PATH ({environ.get('PATH', os.defpath)})"


def _to_do(name: str, shown: str | None) -> str:
    """Return a line that shows the file *shown*, or where this shell finds *name*: a unit may not.

    Nobody knows how to install it here.
    """
    other = "correct the session's `command`" if "/" in name else "write its full path in `command`"
    note = f"install {name}, or {other} in the inventory"
    if shown is not None:
        return look("ls", "-l", shown, note=note)
    if "/" in name:
        return look("ls", "-ld", os.path.dirname(name) or ".", note=note)
    return look("command", "-v", name, note=f"{note}: a unit has another PATH than your shell")


def _fault(session: Session, expected: str, state: str, found: str, fix: str) -> Finding:
    return Finding(
        invariant=INVARIANT,
        account=session.account,
        session=session.name,
        state=state,
        expected=expected,
        found=found,
        fix=fix,
    )
