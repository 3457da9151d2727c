"""Hears of changes: of paths by inotify, of mounts by their table; and only of what matters."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import TypeVar

from inotify_simple import INotify, flags

from launcher.bounded import Look
from launcher.watch import mounts
from launcher.watch.mounts import Mounts
from launcher.watch.subjects import Concern, Subject
from launcher.watch.trace import ANY_CONTENT, ANY_NAME, Trace, trace

SECONDS = 0.5
"""How long setting the watches may take: a dead mount on the way hangs whoever looks at it."""

_LOST = flags.Q_OVERFLOW
_GONE = flags.IGNORED | flags.UNMOUNT
_RENAMED = flags.CREATE | flags.DELETE | flags.MOVED_FROM | flags.MOVED_TO
_EVERYTHING = frozenset({Concern.VM, Concern.INVENTORY})

_Result = TypeVar("_Result")


class Changes:
    """The watches on some subjects, and what has happened to these since.

    Poll :attr:`descriptors`, then :meth:`take`. Once something has, :meth:`look` sets the watches
    anew, since another directory may stand at a path now; poll its ``descriptor`` and give it to
    :meth:`settle`. Between the two nothing is taken, and so nothing is missed.
    """

    def __init__(self) -> None:
        self._inotify = INotify(nonblocking=True)
        self._mounts = Mounts()
        self._watched: set[int] = set()
        self._trace = Trace()
        self._table: mounts.Lines = mounts.table()

    @property
    def descriptors(self) -> list[int]:
        """What to poll for input."""
        return [self._inotify.fileno(), self._mounts.fileno()]

    @property
    def blind(self) -> str | None:
        """Why some of the subjects cannot be watched, or None."""
        return self._trace.blind

    @property
    def processes(self) -> frozenset[str]:
        """What the processes of the machine are about: of these nothing is heard here."""
        return frozenset(self._trace.processes)

    def look(self, subjects: Iterable[Subject]) -> Look[Trace]:
        """Begin to watch *subjects*, in a child that shares the inotify descriptor.

        Only the child goes through *subjects*, which may look at the disk: it may be given up on.
        """
        self._mounts.take()
        self._table = mounts.table()
        return Look(
            lambda: trace(subjects, self._inotify.add_watch), SECONDS, [self._inotify.fileno()]
        )

    def glance(
        self, subjects: Iterable[Subject], call: Callable[[], _Result]
    ) -> Look[tuple[Trace, _Result]]:
        """Begin to watch *subjects* anew, beside all others, and then to *call*, in a child.

        Give the trace of its result to :meth:`add`.
        """
        return Look(
            lambda: (trace(subjects, self._inotify.add_watch), call()),
            SECONDS,
            [self._inotify.fileno()],
        )

    def add(self, more: Trace) -> None:
        """Take over what :meth:`glance` has set, and keep all that was watched before."""
        self._trace.add(more)
        self._watched |= set(more.names)

    def settle(self, look: Look[Trace]) -> None:
        """Take over what *look* has set, and let go of what it did not need any more.

        Raises NotJudged where it did not come to an end; the watches stay as they were then.
        """
        self._trace = look.result()
        for descriptor in self._watched - set(self._trace.names):
            try:
                self._inotify.rm_watch(descriptor)
            except OSError:
                pass  # its directory is gone, and the watch with it
        self._watched = set(self._trace.names)

    def take(self, ready: Collection[int] | None = None) -> frozenset[str]:
        """Return what has changed since the last call: concerns, and keys of parts.

        *ready* are those of :attr:`descriptors` that a poll has found to be ready; the kernel says
        so once. None: nothing was polled.
        """
        seen: set[str] = set()
        for event in self._inotify.read(timeout=0):
            if event.mask & _LOST:
                seen |= _EVERYTHING
                continue
            names = self._trace.names.get(event.wd)
            if names is None:
                continue  # of a watch that was let go
            if event.mask & _GONE:
                self._watched.discard(event.wd)
                del self._trace.names[event.wd]
                seen = seen.union(*names.values())
            elif event.name == "":
                seen = seen.union(*names.values())
            else:
                seen |= names.get(event.name, set()) | names.get(ANY_CONTENT, set())
                if event.mask & _RENAMED:
                    seen |= names.get(ANY_NAME, set())
        if (ready is None or self._mounts.fileno() in ready) and self._have_mounts_changed():
            seen |= _EVERYTHING
        return frozenset(seen)

    def _have_mounts_changed(self) -> bool:
        self._mounts.take()
        now = mounts.table()
        if now == self._table:
            return False
        before, self._table = self._table, now
        return mounts.at(before, self._trace.places) != mounts.at(now, self._trace.places)

    def close(self) -> None:
        """Close the descriptors."""
        self._inotify.close()
        self._mounts.close()
