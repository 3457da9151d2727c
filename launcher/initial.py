"""The first inventory: where it goes, and how it is put there without overwriting anything."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass

from invariants.fixes import look
from invariants.inventory import (
    VARIABLE,
    InventoryError,
    default_places,
    inventory_option,
    load,
    locate,
)
from invariants.schema import decode
from launcher.errors import NotJudged, Refused, WrongInventory
from launcher.proposal import Proposal, propose
from launcher.proposed_text import toml


@dataclass(frozen=True, slots=True)
class Initial:
    """A proposed inventory: its absolute path, what it proposes, and its text."""

    path: str
    proposal: Proposal
    text: str


def place(option: str | None, environ: Mapping[str, str]) -> str:
    """Return where the inventory goes: as it is looked for, the user's own before the system's."""
    if option is not None or environ.get(VARIABLE):
        return locate(option, environ)
    return default_places(environ)[0]


def refuse_existing(path: str, environ: Mapping[str, str]) -> None:
    """Raise Refused where an inventory is at *path* already, or at a place that this would hide."""
    if os.path.lexists(path):
        raise Refused(
            f"{path}: exists, and was left as it is\n"
            f"fix: {look('cat', path, note='compare it with what launcher init --dry-run prints')}"
        )
    try:
        there = locate(None, environ)
    except InventoryError:
        return
    if path in default_places(environ) and there != path:
        raise Refused(
            f"{there}: is the inventory already; one at {path} would hide it\n"
            f"fix: {look('cat', there, note='edit it, or write another with --inventory PATH')}"
        )


def initial(path: str, environ: Mapping[str, str]) -> Initial:
    """Propose an inventory for *path*. Raises WrongInventory where no home is found."""
    proposal = propose(environ)
    if not proposal.accounts:
        raise WrongInventory(_no_home(proposal))
    text = toml(proposal)
    problems = decode(tomllib.loads(text), path)[1]
    if problems:
        raise NotJudged(f"the proposal is not an inventory: {'; '.join(problems)}\n{text}")
    return Initial(path, proposal, text)


def _no_home(proposal: Proposal) -> str:
    lines = [f"{path}: {reason}" for path, reason in proposal.left_out.items()]
    return "\n".join(
        [
            "no home of Claude Code was found: looked for ~/.claude, ~/.claude-*, ~/.config/claude "
            "and what your shell and processes have in CLAUDE_CONFIG_DIR",
            *lines,
            "fix: CLAUDE_CONFIG_DIR=~/.claude-primary claude  # log in, then launcher init again",
        ]
    )


def write(made: Initial) -> None:
    """Put the inventory in place whole, readable by its user alone, or not at all.

    A name that exists by now, be it a dangling symlink, is left alone (link(2) never replaces).
    Raises Refused; WrongInventory where what is written would not be accepted there.
    """
    directory, name = os.path.split(made.path)
    beside = os.path.join(directory, f".{name}.{os.getpid()}.new")
    try:
        os.makedirs(directory, mode=0o700, exist_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        with open(os.open(beside, flags, 0o600), "wb") as file:
            try:
                file.write(made.text.encode())
                file.flush()
                os.fsync(file.fileno())
                load(beside)
                os.link(beside, made.path)
            finally:
                os.unlink(beside)
    except FileExistsError as error:
        raise Refused(f"{made.path}: exists by now, and was left as it is") from error
    except InventoryError as error:
        raise WrongInventory(str(error)) from error
    except OSError as error:
        raise Refused(f"{made.path}: cannot be written: {error.strerror}") from error


def told(made: Initial, environ: Mapping[str, str]) -> str:
    """Return what was done, and what comes next, for a person."""
    count, option = len(made.proposal.accounts), inventory_option(made.path, environ)
    noun = "account" if count == 1 else "accounts"
    lines = [f"wrote {made.path}: {count} {noun}"]
    lines += [f"  {one.name}  {one.home}" for one in made.proposal.accounts]
    lines += [f"left out {path}: {why}" for path, why in made.proposal.left_out.items()]
    lines.append(
        f"next: read it, then launcher{option} ensure --dry-run, and launcher{option} check"
    )
    return "\n".join(lines) + "\n"
