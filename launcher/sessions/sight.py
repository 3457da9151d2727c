"""Sessions that run, or may run, where no process of them is seen: what to say of each."""

from __future__ import annotations

from collections.abc import Iterable

from launcher.sessions import holders
from launcher.sessions.holders import Hold, Lock
from launcher.sessions.place import Place

_STOP = "stop it there: launcher down {}"


def out_of_sight(state: str, names: Iterable[str], option: str) -> list[str]:
    """Say of each session of *names* that no launcher here can see, where it runs or may run.

    *state* is the state directory, *option* what a pasted command needs to reach the inventory.
    Raises Unavailable for a lock that cannot be looked at.
    """
    here, said = Place.here(), []
    for name in names:
        hold = holders.look(state, name)
        if hold.lock is Lock.HELD and not hold.holders():
            said.append(f"session {name} {runs_out_of_sight(hold, name, here)}")
        elif hold.may_run_elsewhere(here):
            said.append(f"session {name} {may_run_elsewhere(hold, name, option)}")
    return said


def runs_out_of_sight(hold: Hold, name: str, here: Place) -> str:
    """Say of the session *name*, which runs where no process of it is seen, where to stop it."""
    place = hold.place
    if place is None:
        where = "in another container, or on another host"
    elif here.is_another_machine(place):
        where = f"on the host {place.host}"
    else:
        where = f"in another container or pid namespace (host name {place.host})"
    proof = f"its lock is held: {hold.path}" if hold.lock is Lock.HELD else "its backend says so"
    return f"runs out of sight {where}, and was not touched; {proof}; {_STOP.format(name)}"


def may_run_elsewhere(hold: Hold, name: str, option: str) -> str:
    """Say of the session *name*, of which only the record of another machine is left, what to do.

    *option* is what a pasted command needs to reach the same inventory.
    """
    host = "?" if hold.place is None else hold.place.host
    return (
        f"may run on the host {host}, which started it last, and no lock proves that it ended; "
        f"{_STOP.format(name)}; if that host is gone: "
        f"launcher down {name} --forget-host {host}{option}"
    )
