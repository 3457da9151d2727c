"""What runs now, by the backends' records and by marks, held against the inventory."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from invariants.background import Worker
from invariants.inventory import Inventory, Session, inventory_option
from invariants.programs import socket_directory
from invariants.warning import Warned
from launcher.errors import Unavailable
from launcher.processes import Process, command_line, listed
from launcher.sessions import (
    Backend,
    Kept,
    SessionState,
    SessionStatus,
    all_backends,
    holders,
)
from launcher.sessions.groups import VARIABLE, Mark, look
from launcher.sessions.holders import Hold, Lock
from launcher.sessions.place import Place
from launcher.sessions.sight import may_run_elsewhere, runs_out_of_sight
from launcher.sessions.spellings import Spellings
from launcher.sessions.tmux import SERVER_NAME, TmuxBackend, label_of_server, server_label
from launcher.sessions.warned import warned

_LOOKS = 3
"""How often what seems out of sight is looked at."""


class Survey:
    """One look at every backend, at every process that carries a session's mark, and at every lock.

    ``kept`` holds what each backend keeps, alive or dead, and what only its mark still tells of,
    by the session's name. ``hidden`` holds each session that runs, or may run, where this launcher
    sees no process: it says where that is, and what to do. Raises Unavailable where a backend
    cannot be asked: what is not seen might be running.
    """

    def __init__(self, inventory: Inventory, environ: Mapping[str, str]) -> None:
        self._inventory = inventory
        self._option = inventory_option(inventory.path, environ)
        self._label = server_label(inventory.settings.state)
        homes = (account.home for account in inventory.accounts)
        self._spellings = Spellings([inventory.path, *homes])
        self.backends: dict[str, Backend] = all_backends(inventory.settings, environ)
        self.kept: dict[str, list[Kept]] = {}
        self.background: dict[str, list[Worker]] = {}
        """What `launcher.background` found of each session, once that has looked."""
        self.hidden: dict[str, str] = {}
        self._unmarked: dict[str, list[Process]] = {}
        self._here = Place.here()
        self.look()

    def look(self) -> None:
        """Look at everything again: at processes first, at locks then.

        What begins or ends in between looks out of sight, so that such a thing is looked at again.
        """
        for _ in range(_LOOKS):
            self._look_at_processes()
            self.hidden, self._unmarked = {}, {}
            for name in sorted({one.name for one in self._inventory.sessions} | set(self.kept)):
                self._match(name, holders.look(self._inventory.settings.state, name))
            if not self.hidden and not self._unmarked:
                return

    def _match(self, name: str, hold: Hold) -> None:
        """Hold the lock of the session *name* against what is seen of it."""
        kept = self.kept.get(name, [])
        members = [one for run in kept for one in self.members(run)]
        is_held_here = hold.lock is Lock.HELD and any(hold.is_of(one) for one in members)
        if any(run.hidden for run in kept) or (hold.lock is Lock.HELD and not is_held_here):
            if found := [one for one in hold.holders() if one not in members]:
                self._unmarked[name] = found
            else:
                self.hidden[name] = runs_out_of_sight(hold, name, self._here)
        elif hold.may_run_elsewhere(self._here):
            self.hidden[name] = may_run_elsewhere(hold, name, self._option)

    def _look_at_processes(self) -> None:
        """Look at the records, and hold what they call dead against what runs after that."""
        recorded = self._recorded()
        self._table = look()
        if self._unrecorded(recorded):
            recorded = self._recorded()  # it may have been started in between
        self.kept = self._spelled(recorded)
        for found in self._unrecorded(recorded):
            self.kept.setdefault(found.name, []).append(found)

    def _spelled(self, recorded: Mapping[str, Sequence[Kept]]) -> dict[str, list[Kept]]:
        """Return the runs with each home as the inventory has it, whatever it was called before."""
        self._spellings.look_at(kept.home for every in recorded.values() for kept in every)
        return {
            name: [
                kept._replace(home=self._spellings.ours(kept.home) or kept.home) for kept in every
            ]
            for name, every in recorded.items()
        }

    def _recorded(self) -> dict[str, list[Kept]]:
        kept: dict[str, list[Kept]] = {}
        for backend in self.backends.values():
            for found in backend.kept():
                kept.setdefault(found.name, []).append(found)
        return kept

    def alive(self, name: str) -> list[Kept]:
        """Return the runs of the session *name* whose leader is alive; more than one is a fault."""
        return [kept for kept in self.kept.get(name, []) if kept.alive]

    def dead(self, name: str) -> list[Kept]:
        """Return what is left of runs of the session *name* whose leader has died."""
        return [kept for kept in self.kept.get(name, []) if not kept.alive]

    def words(self, name: str) -> str | None:
        """Return what a run of the session *name* printed last, for a person, or None."""
        for kept in self.kept.get(name, []):
            if kept.backend is not None:
                return self.backends[kept.backend].words(kept)
        return None

    def members(self, kept: Kept) -> list[Process]:
        """Return what surely belongs to a run and is alive, as last seen."""
        return kept.group.members(self._table)

    def suspects(self, kept: Kept) -> list[Process]:
        """Return what may belong to a run and is alive, as last seen."""
        return kept.group.suspects(self._table)

    def unmarked(self, name: str) -> list[Process]:
        """Return what holds the lock of the session *name*, and has lost its mark."""
        return self._unmarked.get(name, [])

    def foreign(self) -> list[Kept]:
        """Return running sessions of the launcher's that the inventory does not name (any more)."""
        named = {session.name for session in self._inventory.sessions}
        return [
            kept
            for name, every in self.kept.items()
            if name not in named
            for kept in every
            if kept.elsewhere is None and (kept.alive or kept.group.members(self._table))
        ]

    @property
    def inventory(self) -> Inventory:
        """The inventory against which this is held."""
        return self._inventory

    def warnings(self) -> tuple[Warned, ...]:
        """Return what this look warns of: facts that change no verdict and stop no start."""
        return warned(self, self._option)

    def status(self, session: Session, otherwise: SessionState) -> SessionStatus:
        """Return the state of *session*: running, failed if it runs wrongly, or *otherwise*."""
        state, detail = self._judge(session, otherwise)
        return SessionStatus(session.name, session.account, state, detail, wanted=session.wanted)

    def statuses(self, otherwise: SessionState) -> list[SessionStatus]:
        """Return the states of all sessions of the inventory."""
        return [self.status(session, otherwise) for session in self._inventory.sessions]

    def lost_server(self) -> str | None:
        """Say how to bring back a tmux server of the launcher's that nobody can reach, or None.

        It may hold sessions that are seen nowhere else, and must not get a second one beside it.
        """
        server = self._lost_server()
        if server is None:
            return None
        directory = socket_directory(os.geteuid())
        return (
            f"a tmux server runs ({server}), but its socket is gone; this brings it back: "
            f"mkdir -p -m 700 {directory} && kill -USR1 {server.pid}"
        )

    def _lost_server(self) -> Process | None:
        """Return a tmux server of the launcher's that nobody can reach, or None.

        Only one server can have the socket. One that runs nothing beside the one that has it hides
        no session: tmux started the second when the socket went between a server's start and that
        of its first session.
        """
        tmux = self.backends.get("tmux")
        answering = tmux.server() if isinstance(tmux, TmuxBackend) else None
        for server in self._table.called(SERVER_NAME):
            ours = label_of_server(command_line(server)) == self._label
            hides = answering is None or self._table.has_child(server)
            if ours and server.pid != answering and hides:
                return server
        return None

    def bring_back_server(self) -> None:
        """Have a tmux server of the launcher's own make its lost socket anew, and look again.

        Only where no other server answers in its place. Where it cannot be done
        :meth:`lost_server` goes on saying what a person can do. Raises Unavailable.
        """
        tmux, server = self.backends.get("tmux"), self._lost_server()
        if server is not None and isinstance(tmux, TmuxBackend) and tmux.server() is None:
            tmux.bring_back(server)
            self.look()

    def why_no_start(self, backend: Backend) -> str | None:
        """Say why a session that *backend* starts now could not be seen afterwards, or None."""
        if not isinstance(backend, TmuxBackend):
            return None
        if (lost := self.lost_server()) is not None:
            return lost
        if backend.is_out_of_sight():
            return (
                f"the tmux server at {backend.socket} runs in another container or pid namespace, "
                "where what it starts cannot be seen; start the session there, or give this place "
                "a /tmp of its own"
            )
        return None

    def _judge(self, session: Session, otherwise: SessionState) -> tuple[SessionState, str | None]:
        if session.misplaced is not None:
            return SessionState.FAILED, session.misplaced
        if session.name in self.hidden:
            return SessionState.FAILED, self.hidden[session.name]
        alive = self.alive(session.name)
        if len(alive) > 1:
            pids = ", ".join(str(kept.process.pid) for kept in alive)
            fix = f"this ends all: {self._down(session.name)}"
            return SessionState.FAILED, f"runs {len(alive)} times (pids {pids}); {fix}"
        home = self._inventory.account(session.account).home
        for kept in alive:
            if kept.elsewhere is not None:
                whose = f"for the inventory {kept.elsewhere} (pid {kept.process.pid})"
                return SessionState.FAILED, f"runs already {whose}, and was not touched"
            if (kept.account, kept.home) != (session.account, home):
                whose = f"account {kept.account} ({kept.home}, pid {kept.process.pid})"
                return SessionState.FAILED, f"runs already under {whose}, and was not touched"
            return SessionState.RUNNING, kept.where
        return self._judge_dead(session.name, otherwise)

    def _judge_dead(self, name: str, otherwise: SessionState) -> tuple[SessionState, str | None]:
        dead = self.dead(name)
        ending = next((kept.ending for kept in dead if kept.ending), None)
        ended = f"its program {ending or 'has ended'}, but"
        if left := [one for kept in dead for one in kept.group.members(self._table)]:
            fix = f"this ends what is left: {self._down(name)}"
            return SessionState.FAILED, f"{ended} of it still runs: {listed(left)}; {fix}"
        left = [one for kept in dead for one in kept.group.suspects(self._table)]
        if left := list(dict.fromkeys([*left, *self.unmarked(name)])):
            return SessionState.FAILED, f"{ended} {told_of_suspects(left)}"
        if (lost := self.lost_server()) is not None:
            return SessionState.FAILED, f"whether it runs cannot be seen: {lost}"
        return otherwise, ending

    def _down(self, name: str) -> str:
        return f"launcher down {name}{self._option}"

    def _unrecorded(self, recorded: Mapping[str, Sequence[Kept]]) -> list[Kept]:
        """Return the runs that no backend keeps, but of which marked processes are alive.

        A mark concerns this inventory if it names its file, or if the home is one of its
        accounts'.
        """
        known = {
            (kept.process.pid, kept.name)
            for every in recorded.values()
            for kept in every
            if not kept.over
        }
        self._look_at_marked()
        found: dict[tuple[int, str], Kept] = {}
        for process, environment in self._table.environments.items():
            mark = Mark.parse(environment.get(VARIABLE, ""))
            if mark is None or (mark.leader, mark.name) in known:
                continue
            home = environment.get("CLAUDE_CONFIG_DIR", "")
            ours = self._spellings.ours(home)
            if self._spellings.ours(mark.inventory) is None and ours is None:
                continue
            leads = process.pid == mark.leader
            if leads or (mark.leader, mark.name) not in found:
                found[mark.leader, mark.name] = Kept(
                    name=mark.name,
                    account=mark.account,
                    home=ours or home,
                    backend=None,
                    process=process if leads else Process(mark.leader, -1),
                    alive=leads,
                    where=self._whereabouts(process, mark),
                    elsewhere=self._elsewhere(mark.inventory),
                )
        return list(found.values())

    def _look_at_marked(self) -> None:
        """Look whether what marks name is this inventory's by another path name."""
        paths = []
        for environment in self._table.environments.values():
            mark = Mark.parse(environment.get(VARIABLE, ""))
            if mark is not None:
                paths += [mark.inventory, environment.get("CLAUDE_CONFIG_DIR", "")]
        self._spellings.look_at(paths)

    def _elsewhere(self, inventory: str) -> str | None:
        """Return the path of a run's inventory where it is another one, and still there.

        One that is gone was moved: what it started is this one's.
        """
        same = inventory == self._inventory.path or not os.path.exists(inventory)
        return None if same or os.path.samefile(inventory, self._inventory.path) else inventory

    def _whereabouts(self, process: Process, mark: Mark) -> str:
        """Say where an unrecorded run is, and how it may be reached."""
        parent = self._table.parent(process)
        label = label_of_server(command_line(parent)) if parent else None
        if label is None:
            return f"pid {mark.leader}, without a record"
        if label == self._label and (lost := self.lost_server()) is not None:
            return f"pid {mark.leader}; {lost}"
        return f"pid {mark.leader}, kept by another tmux server (tmux -L {label})"


def told_of_suspects(suspects: Sequence[Process]) -> str:
    """Say which processes may be of a session, and how to end them; the launcher does not."""
    pids = " ".join(str(process.pid) for process in suspects)
    return f"this may be of it: {listed(suspects)}; if it is, end it: kill {pids}"


def unseen(sessions: Sequence[Session], error: Unavailable) -> list[SessionStatus]:
    """Return the states of *sessions* where a backend could not be asked."""
    return [
        SessionStatus(
            session.name, session.account, SessionState.FAILED, str(error), wanted=session.wanted
        )
        for session in sessions
    ]
