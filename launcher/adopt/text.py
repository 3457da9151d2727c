"""Plans, outcomes and refusals of ``adopt`` as text, and its progress on a terminal."""

from __future__ import annotations

import os
import sys
import time

from invariants.finding import quoted, shown
from launcher.adopt.outcome import Adopted
from launcher.adopt.plan import Rule, Subject
from launcher.adopt.undo import Undone

_PAUSE = 0.2

_WORDS = {
    Rule.MAKE: "create",
    Rule.INSIDE: "there",
    Rule.TAKE: "take over",
    Rule.THERE: "there",
    Rule.LONGER: "take the longer one",
    Rule.SHORTER: "the target's is longer",
    Rule.KEEP: "keep both",
    Rule.KEPT: "both kept",
}


def plan_text(adopted: Adopted) -> str:
    """Return all that would be done, a name a line, and the sums."""
    if adopted.plan is None:
        return _already(adopted)
    lines = [f"{_place(adopted.subject)}: {adopted.subject.entry} -> {adopted.subject.link.target}"]
    for step in adopted.plan.steps:
        if step.rule is not Rule.INSIDE:
            slash = "/" if step.node.is_directory else ""
            lines.append(f"  {_WORDS[step.rule]:<22}  {shown(os.fsdecode(step.path))}{slash}")
    lines.append(f"would adopt it: {_sums(adopted)}")
    return "\n".join(lines) + "\n"


def outcome_text(adopted: Adopted) -> str:
    """Return, in one paragraph, what was done and what may be removed when."""
    if adopted.old is None:
        return _already(adopted)
    late = f", {_files(adopted.late)} of them in the last moment" if adopted.late else ""
    parts = [f"{_place(adopted.subject)}: adopted; {_sums(adopted)}{late}."]
    if adopted.kept is not None:
        parts.append(f"The account's copies of what there are two of: {shown(adopted.kept)}.")
    parts += [f"{note}." for note in adopted.notes]
    parts.append(f"The old directory is {shown(adopted.old)}.")
    if adopted.copied:
        parts.append("The target has copies, written out and compared.")
    else:
        parts.append("Its files are those of the target by another name and take no room.")
    undo = adopted.subject.command("--undo")
    parts.append(f"`{undo}` goes back as long as it is there; once the account is seen to work,")
    parts.append(f"it may be removed: {quoted('rm', '-r', adopted.old)}")
    return " ".join(parts) + "\n"


def undone_text(undone: Undone, dry_run: bool) -> str:
    """Return what went back, or would."""
    place, target = _place(undone.subject), undone.subject.link.target
    if undone.old is None:
        words = "it was undone already; what was left of that is removed"
    else:
        would = "would put" if dry_run else "put"
        words = f"{would} {shown(undone.old)} back; {target} stays as it is"
    if undone.common:
        entry = undone.subject.entry
        words += f". {_files(undone.common)} in it are the target's own by another name: what is"
        words += " written into one shows at both. While nobody works there, this makes them two: "
        words += " && ".join(
            quoted(*command)
            for command in (
                ("cp", "-aT", entry, f"{entry}.apart"),
                ("mv", "-T", entry, f"{entry}.common"),
                ("mv", "-T", f"{entry}.apart", entry),
            )
        )
    return f"{place}: {words}\n"


def _already(adopted: Adopted) -> str:
    return f"{_place(adopted.subject)}: nothing to do, it is the link already\n"


def _place(subject: Subject) -> str:
    return f"{subject.account.name} {subject.link.name}"


def _sums(adopted: Adopted) -> str:
    parts = []
    for words, rules in (
        ("taken over", (Rule.TAKE,)),
        ("already there", (Rule.THERE,)),
        ("of which the account's is longer", (Rule.LONGER,)),
        ("of which the target's is longer", (Rule.SHORTER,)),
        ("of which both are kept", (Rule.KEEP, Rule.KEPT)),
    ):
        files, size = adopted.count(*rules)
        if files or rules == (Rule.TAKE,):
            parts.append(f"{_files(files)} ({_size(size)}) {words}")
    return ", ".join(parts)


def _files(count: int) -> str:
    return "1 file" if count == 1 else f"{count} files"


def _size(size: float) -> str:
    for unit in ("bytes", "kB", "MB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "bytes" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} GB"


class Progress:
    """Tells a person at a terminal how far a long adoption came; nobody else."""

    def __init__(self) -> None:
        self._wanted = sys.stderr is not None and sys.stderr.isatty()
        self._next = time.monotonic() + _PAUSE
        self._width = 0

    def __call__(self, subject: Subject, files: int, of: int, size: int, of_size: int) -> None:
        """Show *files* of so many, *size* bytes of so many; now and then."""
        if not self._wanted or time.monotonic() < self._next:
            return
        self._next = time.monotonic() + _PAUSE
        line = f"{_place(subject)}: {files} of {_files(of)}, {_size(size)} of {_size(of_size)}"
        self._show(line.ljust(self._width))
        self._width = len(line)

    def end(self) -> None:
        """Leave the line empty."""
        if self._width:
            self._show(" " * self._width + "\r")

    @staticmethod
    def _show(line: str) -> None:
        try:
            os.write(2, f"\r{line}".encode(errors="backslashreplace"))
        except OSError:
            pass  # nobody watches any more
