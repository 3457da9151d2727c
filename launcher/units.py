"""systemd's units for an inventory: the templates of ``deploy/systemd``, filled in.

Everything here is text; nothing is written, and nothing of systemd is called.
"""

from __future__ import annotations

import hashlib
import math
import os
import pwd
import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from invariants.inventory import Inventory
from invariants.programs import chosen_backend
from launcher.sessions import died
from launcher.spawner import VARIABLE

UNITS = (
    "claude-failover.service",
    "claude-failover-check.service",
    "claude-failover-check.timer",
    "claude-failover-died.path",
    "claude-failover-died.service",
    "claude-failover-watch.service",
    "claude-failover-spawn.socket",
    "claude-failover-spawn@.service",
)
INTERVAL = "5min"
"""How old the report may get while nothing else runs the gate."""

_SOCKET = "claude-failover/spawn"
_SLOT = re.compile(r"@([A-Z_]+)@")
_MARK = re.compile(r'# Written by "launcher install" for (\S+) \(([0-9a-f]{64})\)\.')
_ADVICE = "# Change it with a drop-in (systemctl edit): a file that was edited is not replaced.\n"
_IN_LAUNCHER = (
    "# Not closed off: with the process backend, sessions are children of the launcher, and would\n"
    "# inherit it."
)

_FOR_A_HOOK = (
    "# What on_change names may need the network, to tell somebody.\n"
    "PrivateNetwork=no\n"
    "IPAddressDeny=\n"
    "RestrictAddressFamilies=AF_INET AF_INET6 AF_NETLINK"
)


@dataclass(frozen=True, slots=True)
class Owner:
    """Whom the units are for: the user's login name and home, and which manager runs them.

    ``by_user`` is true for the units of the user's own manager (``systemctl --user``).
    """

    name: str
    home: str
    by_user: bool

    @property
    def manager(self) -> list[str]:
        """What selects the manager, as arguments of systemctl(1)."""
        return ["--user"] if self.by_user else []


def rendered(
    inventory: Inventory, owner: Owner, environ: Mapping[str, str], *, network: bool = False
) -> dict[str, str]:
    """Return the text of every unit of :data:`UNITS`, by its name.

    *network* orders the start after the network is up. The launcher's unit is closed off unless
    sessions would inherit that: whether they do depends on the backend that *environ* chooses.
    """
    templates = _templates()
    slots = _slots(inventory, owner, network)
    hardening = (templates / f"hardening-{'user' if owner.by_user else 'system'}.in").read_text()
    closed = _filled(hardening, slots).rstrip()
    backend = chosen_backend(inventory.settings.backend, environ)
    inherits = backend == "process"
    slots["MANAGER"] = "\n".join(_manager(owner)) if backend == "systemd" else ""
    slots["SPAWN"] = "" if inherits else f"Environment={VARIABLE}={slots['RUNTIME']}/{_SOCKET}"
    units = {}
    for name in UNITS:
        hardened = _IN_LAUNCHER if inherits and name == "claude-failover.service" else closed
        text = _filled((templates / f"{name}.in").read_text(), {**slots, "HARDENING": hardened})
        units[name] = _marked(text, owner.name)
    return units


def writer(text: str) -> str | None:
    """Return for whom ``launcher install`` wrote *text*; None where it did not, or not all of it.

    The mark holds a hash of what follows it, so that a file that somebody edited is theirs.
    """
    first, _, rest = text.partition("\n")
    mark = _MARK.fullmatch(first)
    if mark is None or hashlib.sha256(rest.encode()).hexdigest() != mark[2]:
        return None
    return mark[1]


def _marked(text: str, owner: str) -> str:
    rest = _ADVICE + text
    digest = hashlib.sha256(rest.encode()).hexdigest()
    return f'# Written by "launcher install" for {owner} ({digest}).\n{rest}'


def _templates() -> Path:
    """Return where the templates are: in the installed package, or in the checkout."""
    here = Path(__file__).resolve().parent
    packaged = here / "systemd"
    return packaged if packaged.is_dir() else here.parent / "deploy" / "systemd"


def _filled(template: str, slots: Mapping[str, str]) -> str:
    """Fill in *template*; a line that is empty because its slot is, goes."""
    lines = []
    for line in template.splitlines():
        filled = _SLOT.sub(lambda match: slots[match[1]], line)
        if filled or not line:
            lines.append(filled)
    return "\n".join(lines) + "\n"


def _slots(inventory: Inventory, owner: Owner, network: bool) -> dict[str, str]:
    python = _word(sys.executable, command=True)
    settings = inventory.settings
    # A user's manager knows of no unit of the system's, so neither of its mounts.
    mounts = [] if owner.by_user else _needed(inventory)
    online = ["Wants=network-online.target", "After=network-online.target"] if network else []
    return {
        "OWNER": owner.name,
        "USER": "" if owner.by_user else f"User={owner.name}",
        "SOCKET_USER": "" if owner.by_user else f"SocketUser={owner.name}",
        # To see root's sessions by what their environment says takes a capability (ptrace(2)).
        "CAPABILITIES": f"CapabilityBoundingSet={'CAP_SYS_PTRACE' if owner.name == 'root' else ''}",
        "RUNTIME": "%t",
        "SOCKET": _SOCKET,
        "TARGET": "default.target" if owner.by_user else "multi-user.target",
        "PYTHON": python,
        "LAUNCHER": f"{python} -I -m launcher --inventory {_word(inventory.path, command=True)}",
        "MOUNTS": "\n".join(f"RequiresMountsFor={_word(path)}" for path in mounts),
        "NETWORK": "\n".join(online),
        "WRITABLE": " ".join(_word(f"-{path}") for path in _written(inventory, owner)),
        "PATIENCE": f"{math.ceil(3 * settings.timeout + settings.settle) + 60}s",
        "INTERVAL": INTERVAL,
        # A path is the whole rest of its line, quotes included (systemd.path(5)).
        "DIED": died.directory(settings.state).replace("%", "%%"),
        "HOOK": _FOR_A_HOOK if inventory.watch.on_change else "",
    }


def _manager(owner: Owner) -> list[str]:
    """Return what has the manager that keeps the sessions run before the launcher does."""
    if owner.by_user or owner.name == "root":
        return []
    unit = f"user@{pwd.getpwnam(owner.name).pw_uid}.service"
    return [f"Wants={unit}", f"After={unit}"]


def _needed(inventory: Inventory) -> list[str]:
    """Return every path whose file system has to be there, symlinks followed."""
    paths = [
        inventory.path,
        inventory.settings.state,
        os.path.dirname(inventory.settings.report),
        *(account.home for account in inventory.accounts),
        *(link.target for link in inventory.links),
        *(session.directory for session in inventory.sessions),
    ]
    return sorted({*paths, *map(os.path.realpath, paths)})


def _written(inventory: Inventory, owner: Owner) -> list[str]:
    """Return what stays writable for the launcher: the user's home, and what lies outside.

    To a gate a directory that is read-only for its own process is broken, so homes and targets
    belong here though only ``up``'s state and the report are written to.
    """
    paths = [
        owner.home,
        inventory.settings.state,
        os.path.dirname(inventory.settings.report),
        *(account.home for account in inventory.accounts),
        *(link.target for link in inventory.links),
    ]
    if inventory.settings.prometheus is not None:
        paths.append(os.path.dirname(inventory.settings.prometheus))
    return _outermost(paths)


def _outermost(paths: Iterable[str]) -> list[str]:
    """Return *paths* in order and once each, without those that lie inside another."""
    kept: list[str] = []
    for path in sorted(set(paths), key=lambda path: path.split("/")):
        if not kept or not f"{path}/".startswith(kept[-1].rstrip("/") + "/"):
            kept.append(path)
    return kept


def _word(text: str, *, command: bool = False) -> str:
    r"""Return *text* as one word of a unit file (systemd.syntax(7), systemd.service(5)).

    >>> _word("/srv/100 % \"mine\"")
    '"/srv/100 %% \\"mine\\""'
    """
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    escaped = escaped.replace("\n", "\\n").replace("\t", "\\t")
    if command:
        escaped = escaped.replace("$", "$$")
    return f'"{escaped}"' if re.search(r"[\s\"'\\;]", text) else escaped
