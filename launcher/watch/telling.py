"""Who is told of a verdict: the report's readers, systemd, the journal, and the hook."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from time import monotonic

from invariants.inventory import Inventory
from invariants.warning import Warned, counted
from launcher import history, report
from launcher.errors import NotJudged
from launcher.keeping import RENEWAL, renew
from launcher.processes import Process
from launcher.sessions import SessionStatus
from launcher.verdict import Colour, Gate, Verdict
from launcher.watch.hook import Hook
from launcher.watch.notify import Notify

Signature = tuple[int, int, int]


class Telling:
    """What has been told last, by the report and beside it, and what is to be told again."""

    def __init__(
        self,
        environ: Mapping[str, str],
        say: Callable[[str], None],
        keeper: Process | None,
        warn: Callable[[str], None],
    ) -> None:
        """*say* gets each change of verdict, and all that goes wrong, for the journal.

        *warn* gets each warning once, when it appears.
        """
        self.notify = Notify(environ)
        self.hook = Hook(environ, say)
        self.may_be_green = True
        """Whether the report may say green: it does not where that is false."""
        self._say = say
        self._keeper = keeper
        self._warn = warn
        self._warned: frozenset[Warned] = frozenset()
        self._said: dict[str, str | None] = {}
        self._verdict: str | None = None
        self._published: Signature | None = None
        self._renewed = 0.0
        self._is_kept = False

    def close(self) -> None:
        """Tell systemd of the end, and leave no hook behind."""
        self.notify.stopping()
        self.hook.close()

    def take_up(self, inventory: Inventory) -> None:
        """Take the verdict that was told last for known: a restart is no change."""
        try:
            before = history.read(history.place(inventory))
        except NotJudged:
            return
        if before.inventory == inventory.path:
            self._verdict = before.verdict

    def once(self, topic: str, text: str | None) -> None:
        """Say what is wrong once, and not again while it stays; None: nothing is, any more."""
        if self._said.get(topic) != text:
            self._said[topic] = text
            if text is not None:
                self._say(text)

    def is_wrong(self, topic: str) -> bool:
        """Tell whether something was wrong when last said."""
        return self._said.get(topic) is not None

    def stands(self, inventory: Inventory) -> bool:
        """Tell whether the report is still the one that was published last."""
        return _signature(inventory) == self._published

    def forget(self) -> None:
        """Let the report, kept elsewhere from now on, be none that was published."""
        self._published, self._is_kept = None, False

    def renew(self, inventory: Inventory) -> None:
        """Say that the report is still kept true, if it is time, and if it is still ours.

        An unknown one need not be kept; one that could not be published is unknown, whatever the
        older one says that may still be there.
        """
        if not self._is_kept or monotonic() < self._renewed + RENEWAL:
            return
        if self._published is None or not self.stands(inventory):
            return
        try:
            renew(inventory.settings.report)
        except OSError as error:
            self.once("kept", f"nobody can see that the report is kept true: {error}")
            return
        self.once("kept", None)
        self._renewed = monotonic()
        self._published = _signature(inventory)

    def publish(self, inventory: Inventory, gate: Gate, statuses: Iterable[SessionStatus]) -> bool:
        """Publish *gate*, and tell of it; return whether it is published."""
        return self.tell(
            inventory, report.published(inventory, gate, statuses, keeper=self._keeper)
        )

    def tell(self, inventory: Inventory, gate: Gate) -> bool:
        """Tell of what has just been published; return whether it really is: a disk may be full."""
        self._published = _signature_of(inventory, gate.verdict.colour, round(gate.finished, 3))
        self._is_kept, self._renewed = gate.verdict.colour is not Colour.UNKNOWN, -RENEWAL
        self.renew(inventory)
        self.may_be_green = gate.verdict.colour is Colour.GREEN
        verdict = gate.verdict
        text = _summary(verdict)
        count = f"; {counted(gate.warnings)}" if gate.warnings else ""
        self.notify.status(f"{text}{count}")
        self.once("verdict", text)
        self._warn_of(gate)
        if verdict.colour.value != self._verdict:
            known, self._verdict = self._verdict, verdict.colour.value
            if known is not None or verdict.colour is not Colour.GREEN:
                self.hook.change(inventory.watch.on_change, _content(inventory))
        return self._published is not None

    def _warn_of(self, gate: Gate) -> None:
        """Say which warnings are new. A gate that could not be judged ends none of the others."""
        for warned in gate.warnings:
            if warned not in self._warned:
                self._warn(f"warning: {warned}")
        before = self._warned if gate.verdict.colour is Colour.UNKNOWN else frozenset()
        self._warned = before.union(gate.warnings)

    def take_back(self, inventory: Inventory, reason: str, *, unless_kept: bool = False) -> None:
        """Turn the report unknown if it says green, with the lock or without.

        With *unless_kept*, one that another watch keeps true is left to it.
        """
        if report.take_back(inventory, reason, unless_kept=unless_kept):
            self._published, self._is_kept = _signature_of(inventory, Colour.UNKNOWN), False
        self.may_be_green = False


def _signature(inventory: Inventory) -> Signature | None:
    """Return what tells the report's file from another, or None where there is none."""
    try:
        return _told_apart(os.stat(inventory.settings.report))
    except OSError:
        return None


def _signature_of(
    inventory: Inventory, colour: Colour, finished: float | None = None
) -> Signature | None:
    """Return the signature of the report if it is what was just published, else None.

    It may have been replaced since. It is told by its verdict, and when its gate *finished*.
    """
    try:
        document, status = report.read_file(inventory.settings.report)
    except NotJudged:
        return None
    failover = document["failover"]
    if failover.get("verdict") != colour or finished not in (None, failover.get("finished")):
        return None
    return _told_apart(status)


def _told_apart(status: os.stat_result) -> Signature:
    return status.st_dev, status.st_ino, status.st_mtime_ns


def _content(inventory: Inventory) -> bytes:
    try:
        with open(inventory.settings.report, "rb") as file:
            return file.read()
    except OSError:
        return b""


def _summary(verdict: Verdict) -> str:
    if verdict.colour is Colour.GREEN:
        return f"green: all {verdict.expected} invariants hold"
    if verdict.colour is Colour.UNKNOWN:
        return f"unknown: {verdict.reason}"
    first = verdict.failures[0].finding
    more = f" and {len(verdict.failures) - 1} more" if len(verdict.failures) > 1 else ""
    return (
        f"red: {len(verdict.failures)} of {verdict.expected} invariants do not hold: "
        f"{first.title}{more}"
    )
