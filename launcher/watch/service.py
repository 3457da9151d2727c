"""The service: hears of a change, lets the VM be judged, publishes; for as long as it runs.

The rule that it keeps: the report never says green while the VM has been red for a second. A
green that may have been overtaken by a change for half a second is not published, and a green
that stands is taken back where a change could not be judged in time, whatever the reason.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from time import monotonic
from types import FrameType
from typing import Self

from invariants.conversations import Process, clients
from invariants.declared import invariant_of
from invariants.inventory import Inventory, InventoryError
from invariants.schema import DEFAULT_STATE
from launcher import boot, report
from launcher.early import gate_environment
from launcher.errors import Locked, NotJudged
from launcher.gate import judged
from launcher.interrupts import Interrupts
from launcher.lock import locked
from launcher.placements import placed
from launcher.processes import identify
from launcher.pytest_child import Run
from launcher.second_look import SecondLook
from launcher.sessions import SessionStatus
from launcher.trusted import loaded
from launcher.verdict import Colour, Gate, Verdict
from launcher.watch import ENDED
from launcher.watch.changes import Changes
from launcher.watch.claim import Claim
from launcher.watch.code import Code
from launcher.watch.glances import PATIENCE, Glances
from launcher.watch.held import PARTS
from launcher.watch.runs import Runs
from launcher.watch.seen import Seen
from launcher.watch.starts import Starts
from launcher.watch.subjects import Concern, subjects
from launcher.watch.telling import Telling
from launcher.watch.warm import Stale

OVERTAKEN = 0.5
"""A green is not published that a change may have made wrong this many seconds ago."""
OVERDUE = 0.75
"""After so many seconds without a judgement of a change, a green report is taken back."""
BLIND = 1.0
"""The interval where changes cannot be heard of: seconds."""

_BOUND = 0.2  # seconds that changes may go on before they are judged all the same
_TICK = 1.0  # how soon a suspension of the machine is noticed, and a clock that was set
_PAUSE = 0.05


class Service:
    """Keeps one inventory's report true. A context manager; :meth:`run` ends with a signal."""

    def __init__(
        self,
        inventory: Inventory,
        environ: Mapping[str, str],
        interrupts: Interrupts,
        say: Callable[[str], None],
        claim: Claim,
        *,
        ensure_sessions: bool = False,
        also: Callable[[], None] = lambda: None,
        warn: Callable[[str], None] | None = None,
    ) -> None:
        """Take what is watched; *say* gets each change of verdict, and all that goes wrong.

        *warn* gets each warning when it appears; without it *say* does.
        *claim* keeps other watches out, and is kept up here.
        *also* is called about once a second: it must not take long.
        """
        self._inventory = inventory
        self._environ = environ
        self._interrupts = interrupts
        self._say = say
        self._claim = claim
        self._claimed = 0.0
        self._ensure = ensure_sessions
        self._also = also
        self._problem: InventoryError | None = None
        self._keeper = identify(os.getpid())
        self._changes = Changes()
        self._glances = Glances(self._changes, gate_environment(environ))
        self._clients: frozenset[Process] = frozenset()
        self._clients_at = 0.0
        self._are_doubled = False
        self._runs = Runs(environ, self._wait)
        self._telling = Telling(environ, say, self._keeper, warn or say)
        self._starts = Starts()
        # By the monotonic clock: the first change that no gate has seen yet, the last one, and
        # the first of those that the gate under way is about.
        self._since: float | None = None
        self._latest = 0.0
        self._judging: float | None = None
        self._wanted = True
        self._reload = True
        self._due = 0.0
        self._offset = _offset()
        self._alive_at = 0.0
        self._hears = True
        self._set_for: Inventory | None = None  # whose watches were set, and no change since
        self._wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._before = signal.signal(signal.SIGHUP, self._note_reload)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._telling.close()
        self._runs.close()
        self._glances.close()
        self._changes.close()
        signal.signal(signal.SIGHUP, self._before)
        for descriptor in self._wake:
            os.close(descriptor)

    def _note_reload(self, number: int, frame: FrameType | None) -> None:
        self._reload = True
        try:
            os.write(self._wake[1], b"!")
        except BlockingIOError:
            pass  # it is full of them

    def run(self) -> None:
        """Judge at once, and whenever it is due from then on.

        Raises Interrupted for SIGTERM and SIGINT, Locked if another watch has claimed the
        inventory, and whatever is a fault of this program's. A green report is taken back then,
        since nobody keeps it true any more, unless another watch does.
        """
        self._telling.take_up(self._inventory)
        try:
            self._watch()
            while True:
                self._turn()
                self._telling.notify.ready()
                self._runs.get_ready(self._inventory)
                self._rest()
        except BaseException:
            self._telling.take_back(self._inventory, ENDED, unless_kept=True)
            raise

    # Waiting: the one place where this process sleeps, and what it does not forget meanwhile.

    def _wait(self, descriptors: list[int], until: float) -> list[int]:
        """Wait until one of *descriptors* can be read, which are returned, or *until*."""
        while True:
            self._duties()
            if not descriptors and self._is_due():
                return []
            now = monotonic()
            looked = self._glances.descriptors
            polled = [*descriptors, self._wake[0], *self._telling.hook.descriptors, *looked]
            heard = self._changes.descriptors if self._hears and not looked else []
            nearest = min(until, now + _TICK, *self._limits(now))
            ready = self._interrupts.poll([*polled, *heard], max(0.0, nearest - now))
            if any(descriptor in ready for descriptor in heard):
                self._hear(ready)
            if self._wake[0] in ready:
                os.read(self._wake[0], 4096)
            if found := [descriptor for descriptor in descriptors if descriptor in ready]:
                return found
            if monotonic() >= until:
                return []

    def poll(self, descriptors: list[int], seconds: float) -> list[int]:
        """Wait as the judging of own invariants asks for it, and forget nothing meanwhile."""
        return self._wait(descriptors, monotonic() + seconds)

    def _limits(self, now: float) -> Iterator[float]:
        yield self._clients_at + _TICK
        may_look = self._hears and self._since is None
        if (self._glances.descriptors or may_look) and self._glances.limit is not None:
            yield self._glances.limit
        if self._telling.hook.limit is not None:
            yield self._telling.hook.limit
        if self._oldest is not None and self._telling.may_be_green:
            yield max(now + _PAUSE, self._oldest + OVERDUE)

    def _duties(self) -> None:
        self._telling.hook.turn()
        self._telling.renew(self._inventory)
        self._also()
        self._look_at_processes()
        self._glance()
        if monotonic() >= self._claimed + _TICK and not self._claim.stands():
            self._keep_claim()
        if self._telling.notify.watchdog is not None and monotonic() >= self._alive_at:
            self._telling.notify.alive()
            self._alive_at = monotonic() + min(self._telling.notify.watchdog, _TICK)
        late = self._oldest is not None and monotonic() - self._oldest > OVERDUE
        if late and self._telling.may_be_green:
            self._take_back("a change of the VM is not judged yet, though a second is over")
            self._wanted = True  # whatever comes of it: the report is no longer that of a gate
        if abs(_offset() - self._offset) > 1:
            self._offset, self._wanted = _offset(), True  # the report's times are another clock's

    @property
    def _oldest(self) -> float | None:
        """When the first change was that the published report does not know of."""
        times = (self._since, self._judging, self._glances.oldest)
        return min((at for at in times if at is not None), default=None)

    def _look_at_processes(self) -> None:
        """Once a second: inotify does not tell of processes."""
        if monotonic() < self._clients_at + _TICK:
            return
        self._clients_at = monotonic()
        if not self._changes.processes:
            return
        before = self._clients
        try:
            self._clients = clients()
        except OSError:
            self._clients = frozenset()
        if self._clients != before or self._are_doubled:
            self._glances.touch(self._changes.processes)

    def _glance(self) -> None:
        """Go on with looking at what has changed, and have it judged if that counts."""
        may_begin = self._hears and self._since is None  # or all of it is judged at once
        self._count(self._glances.turn(self._inventory, may_begin=may_begin))
        if self._changes.blind is not None and not self._telling.is_wrong("blind"):
            self._wanted = True  # the turn says so, and looks every second from then on

    def _count(self, changed: float | None) -> None:
        """Have judged what *changed* at that time, if it did."""
        if changed is not None:
            self._latest = monotonic()
            self._since = min(changed, self._since or changed)

    def _hear(self, ready: list[int] | None = None) -> None:
        if self._glances.descriptors:
            return  # until it has told what it watches
        concerns = self._changes.take(ready)
        if concerns:
            self._set_for = None
        parts = concerns - frozenset(Concern)
        self._glances.touch(parts - self._changes.processes)
        self._glances.touch(parts & self._changes.processes, PATIENCE)
        if Concern.INVENTORY in concerns:
            self._reload = True
        if concerns & {Concern.INVENTORY, Concern.VM}:
            self._latest = monotonic()
            self._since = self._since or self._latest
        elif concerns and not self._telling.stands(self._inventory):
            # Somebody else published, or took the report away.
            self._wanted = self._telling.may_be_green = True

    def _is_due(self) -> bool:
        return self._since is not None or self._wanted or self._reload or _boottime() >= self._due

    def _rest(self) -> None:
        """Wait for the next thing to judge, and until a burst of changes is over."""
        while not self._is_due():
            self._wait([], monotonic() + 3600)
        if self._since is None:
            return
        if not self._glances.descriptors:
            self._watch()  # there is time for it: more may come
        while (now := monotonic()) < self._since + _BOUND:
            quiet = self._latest + self._inventory.watch.debounce
            if now >= quiet:
                return
            self._wait([self._wake[0]], min(quiet, self._since + _BOUND))

    # One turn: watches, inventory, gate, report.

    def _turn(self) -> None:
        self._wanted = False
        if self._reload or self._problem is not None or _boottime() >= self._due:
            self._load()
        self._due = _boottime() + self._interval()
        with self._locked() as trouble:
            self._inventory = placed(self._inventory)  # a session may have been switched
            self._glances.close()
            self._hear()
            if not self._reload:
                self._judging, self._since = self._oldest, None
            self._glances.begin()
            try:
                if self._set_for != self._inventory:
                    self._watch()
                if trouble is not None:
                    self._not_judged(trouble)
                elif self._problem is not None:
                    problems = "; ".join(self._problem.problems)
                    self._not_judged(f"the inventory is wrong: {problems}")
                else:
                    self._judge()
            finally:
                self._judging = self._set_for = None

    def _interval(self) -> float:
        interval = self._inventory.watch.interval
        return interval if not self._telling.is_wrong("blind") else min(interval, BLIND)

    def _watch(self) -> None:
        """Set the watches anew. What happens from here on is heard of."""
        self._hears = False
        self._set_for = self._inventory
        try:
            look = self._changes.look(subjects(self._inventory, gate_environment(self._environ)))
            try:
                self._wait([look.descriptor], look.limit)
                self._changes.settle(look)
            finally:
                look.end()
            self._telling.once("blind", self._changes.blind)
        except NotJudged as error:
            self._telling.once("blind", str(error))
        finally:
            self._hears = True

    def _load(self) -> None:
        """Read the inventory again; where it is wrong, the last one tells where to publish that."""
        if self._reload:
            self._starts.forget()
        self._reload = False
        try:
            inventory = placed(loaded(self._inventory.path))
        except InventoryError as error:
            self._problem = error
            if error.report not in (None, self._inventory.settings.report):
                report.disown(error)
            return
        self._problem = None
        before, self._inventory = self._inventory, inventory
        if before.settings.report != inventory.settings.report:
            report.announce(before, f"the report is now kept at {inventory.settings.report}")
        if before != inventory:
            self._telling.forget()
        self._keep_claim()

    def _keep_claim(self) -> None:
        """Claim what is watched, at the place where that belongs now.

        Raises Locked if another watch was faster while the claim's file was gone.
        """
        self._claimed = monotonic()
        try:
            self._claim.take(self._inventory, self._interrupts.sleep)
            self._telling.once("claim", None)
        except NotJudged as error:
            self._telling.once("claim", str(error))

    @contextmanager
    def _locked(self) -> Iterator[str | None]:
        """Hold the launchers' lock; yield why there can be none, where that is so.

        Another launcher that holds it publishes itself, or leaves the VM as it is: it is waited
        for as long as it takes.
        """
        also = os.path.expanduser(DEFAULT_STATE)
        state = self._inventory.settings.state
        while True:
            held = locked(state, "watch", self._interrupts, also, patience=0)
            try:
                held.__enter__()
                break
            except Locked as error:
                self._telling.notify.status(str(error))
                self._wait([self._wake[0]], monotonic() + _PAUSE)
            except NotJudged as error:
                yield str(error)
                return
        try:
            yield None
        finally:
            held.__exit__(None, None, None)

    def _judge(self) -> None:
        """Run the gate and look at the sessions meanwhile; publish what they say."""
        inventory, started, clock = self._inventory, time.time(), monotonic()
        with ExitStack() as opened:
            sessions = opened.enter_context(Seen(inventory, self._environ))
            second = opened.enter_context(SecondLook(inventory, self._environ))

            def meanwhile() -> None:
                sessions.begin()
                if not inventory.settings.invariants:  # these take their time: it comes after them
                    with suppress(NotJudged):  # it is tried again, and told
                        second.begin()

            outcome = self._outcome(meanwhile)
            if isinstance(outcome, Exception):
                self._due = min(self._due, _boottime() + BLIND)
            seconds = monotonic() - clock
            gate = judged(inventory, self._environ, outcome, started, seconds, self)
            gate = second.confirmed(gate, self._wait)
            statuses = sessions.statuses(gate.verdict.colour, self._wait)
        self._count(self._glances.judged(gate.document.pop(PARTS, {})))
        self._are_doubled = self._is_about_processes(gate.verdict)
        self._hear()
        green = gate.verdict.colour is Colour.GREEN
        times = (self._since, self._glances.oldest)
        overtaken = min((at for at in times if at is not None), default=None)
        if green and overtaken is not None and monotonic() - overtaken > OVERTAKEN:
            # It may be the truth of a moment ago; the next turn, at once, tells.
            self._since = self._oldest
        elif green and self._ensure and (due := self._starts.due(statuses)):
            self._start(gate, due)
        else:
            self._publish(gate.with_seen(sessions.warnings), statuses)

    def _is_about_processes(self, verdict: Verdict) -> bool:
        names = {invariant_of(part) for part in self._changes.processes}
        return any(failure.finding.invariant in names for failure in verdict.failures)

    def _outcome(self, meanwhile: Callable[[], None]) -> Run | Exception:
        try:
            return self._runs.outcome(self._inventory, meanwhile)
        except Stale as error:
            self._begin_anew(str(error))
            raise

    def _begin_anew(self, changed: str) -> None:
        """Become the program that is on the disk now, once what puts it there has finished."""
        self._say(f"{changed} has changed: the watch begins anew")
        self._take_back("claude-failover is being replaced, and nobody keeps the report true")
        until, code = monotonic() + 10, Code.loaded()
        while monotonic() < until:
            self._wait([self._wake[0]], monotonic() + 0.5)
            if code.changed() is None:
                break
            code = Code.loaded()
        self.__exit__()
        self._claim.outlive_exec()
        os.execv(sys.executable, sys.orig_argv)

    def _start(self, gate: Gate, names: list[str]) -> None:
        """Start sessions as ``up`` does after its gate."""
        self._starts.note(names)
        tried, statuses = boot.started(
            self._inventory,
            self._environ,
            self._interrupts,
            gate,
            only=names,
            keeper=self._keeper,
        )
        gave_up = ", ".join(self._starts.given_up(statuses))
        self._telling.once("starts", f"given up until a reload: {gave_up}" if gave_up else None)
        self._published(self._telling.tell(self._inventory, tried))
        self._wanted = True  # the gate is as old as the starts took

    # Publishing.

    def _not_judged(self, reason: str) -> None:
        self._glances.judged({})
        now = time.time()
        self._publish(Gate(Verdict(Colour.UNKNOWN, reason), {}, now, now), [])

    def _publish(self, gate: Gate, statuses: Iterable[SessionStatus]) -> None:
        self._published(self._telling.publish(self._inventory, gate, statuses))

    def _published(self, done: bool) -> None:
        if not done:
            self._due = min(self._due, _boottime() + BLIND)

    def _take_back(self, reason: str) -> None:
        self._telling.take_back(self._inventory, reason)


def _boottime() -> float:
    """Return a clock in seconds that goes on while the machine is suspended (clock_gettime(2))."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def _offset() -> float:
    """Return how far the clock that can be set is from the one that cannot."""
    return time.time() - _boottime()
