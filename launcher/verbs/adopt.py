"""``adopt``: real directories become links, or that is undone: which, and what is printed."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from launcher.errors import ExitCode, Interrupted, LauncherError, NotJudged, Unavailable, WrongUsage
from launcher.verbs.call import Call, Verb, json_argument

if TYPE_CHECKING:
    from launcher.adopt import Adopted, AdoptionRefused, Undone
    from launcher.adopt.plan import Subject
    from launcher.render import Painter


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("account", nargs="?", metavar="ACCOUNT", help="whose directory")
    parser.add_argument("link", nargs="?", metavar="LINK", help="which one, such as projects")
    parser.add_argument("--all", action="store_true", help="every real directory of every home")
    parser.add_argument("--undo", action="store_true", help="put the old directory back")
    parser.add_argument(
        "--keep-both", action="store_true", help="put the account's copy of a conflict beside"
    )
    parser.add_argument(
        "--ignore-process",
        metavar="PID",
        type=int,
        action="append",
        default=[],
        help="this one surely writes nothing there; can be repeated",
    )
    parser.add_argument("--dry-run", action="store_true", help="print the plan, write nothing")
    json_argument(parser)


def run(call: Call) -> int:
    """Adopt one entry or all, or undo that; print what was done or what stands in the way."""
    from launcher.adopt import Adoption, AdoptionRefused, Stopped, adopt, undo
    from launcher.adopt.text import Progress
    from launcher.sessions.sight import out_of_sight

    arguments, inventory = call.arguments, call.inventory
    subjects, progress = _subjects(call), Progress()
    names = [session.name for session in inventory.sessions]
    if hidden := out_of_sight(inventory.settings.state, names, call.option):
        # It may write into home and target, and no look at processes would find it.
        raise Unavailable("\n".join(["nothing was written: a session may be at work", *hidden]))
    done: list[Adopted | Undone] = []
    how = Adoption(
        accounts=inventory.accounts,
        interrupts=call.interrupts,
        option=call.option,
        keep_both=arguments.keep_both,
        dry_run=arguments.dry_run,
        ignored=frozenset(arguments.ignore_process),
        tell=progress,
        note=done.append,
    )
    refused: AdoptionRefused | None = None
    stopped: LauncherError | None = None
    try:
        undo(subjects[0], how) if arguments.undo else adopt(subjects, how)
    except AdoptionRefused as error:
        refused = error
    except (Stopped, NotJudged, Interrupted) as error:
        stopped = error
    finally:
        progress.end()
    _tell(call, done, refused, str(stopped) if stopped is not None else None)
    if stopped is not None:
        raise stopped  # its message and its code, after what was done before it
    return ExitCode.OK if refused is None else ExitCode.RED


def _tell(
    call: Call,
    done: Sequence[Adopted | Undone],
    refused: AdoptionRefused | None,
    stopped: str | None,
) -> None:
    document: dict[str, Any] = {
        "dry_run": call.arguments.dry_run,
        "undone" if call.arguments.undo else "adopted": [one.as_json() for one in done],
        "refused": [finding.as_json() for finding in refused.findings] if refused else [],
        "stopped": stopped,
    }

    def text(paint: Painter) -> str:
        from launcher.adopt import text as words
        from launcher.adopt.undo import Undone

        parts = []
        for one in done:
            if isinstance(one, Undone):
                parts.append(words.undone_text(one, call.arguments.dry_run))
            elif call.arguments.dry_run:
                parts.append(words.plan_text(one))
            else:
                parts.append(words.outcome_text(one))
        if refused is not None:
            parts.append(_refused_text(call, refused, paint))
        elif stopped is None and not done:
            parts.append("nothing to do: no entry is a real directory\n")
        return "\n".join(parts)

    call.print(document, text)


def _refused_text(call: Call, refused: AdoptionRefused, paint: Painter) -> str:
    from launcher.render import findings_blocks

    blocks = findings_blocks(refused.findings, call.inventory, paint)
    blocks.append(f"refused: {len(refused.findings)} in the way; nothing was written")
    text = "\n\n".join(blocks) + "\n"
    return text + refused.memories if sys.stdout is not None and sys.stdout.isatty() else text


def _subjects(call: Call) -> list[Subject]:
    """Return what the arguments name. Raises WrongUsage."""
    from invariants.links import LinkState, observe
    from launcher.adopt.plan import Subject

    arguments, inventory = call.arguments, call.inventory
    if arguments.undo and (arguments.all or arguments.keep_both):
        raise WrongUsage("--undo goes with ACCOUNT and LINK, not with --all or --keep-both")
    if arguments.all:
        if arguments.account is not None:
            raise WrongUsage("either --all, or ACCOUNT and LINK")
        # One that cannot be read may be one: then it is refused, and not passed over in silence.
        real = (LinkState.REAL_DIRECTORY, LinkState.EMPTY_DIRECTORY, LinkState.UNREADABLE)
        return [
            Subject(account, link, call.option)
            for account in inventory.accounts
            for link in inventory.links
            if observe(account.entry(link), link.target).state in real
        ]
    if arguments.account is None or arguments.link is None:
        raise WrongUsage("which one? ACCOUNT and LINK, or --all")
    accounts = {account.name: account for account in inventory.accounts}
    links = {link.name: link for link in inventory.links}
    if arguments.account not in accounts:
        raise WrongUsage(
            f"there is no account {arguments.account}; there are {', '.join(accounts)}"
        )
    if arguments.link not in links:
        raise WrongUsage(f"there is no link {arguments.link}; there are {', '.join(links)}")
    return [Subject(accounts[arguments.account], links[arguments.link], call.option)]


VERB = Verb(_arguments, run)
