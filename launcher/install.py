"""``install``: puts systemd's units in place for an inventory, and takes them away again.

Only what this program wrote, and nobody edited since, is replaced or removed. What runs is left
alone: neither installing nor removing starts or stops a session.
"""

from __future__ import annotations

import os
import pwd
import shlex
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from invariants.executable import judge_program
from invariants.finding import Finding
from invariants.fixes import set_aside
from invariants.inventory import Inventory, InventoryError, load
from invariants.programs import chosen_backend
from launcher.errors import Refused, Unavailable, WrongInventory, WrongUsage
from launcher.trusted import home_is
from launcher.units import UNITS, Owner, rendered, writer

_SYSTEM = "/etc/systemd/system"
_AT_BOOT = "claude-failover.service"
_DIED = "claude-failover-died.path"
_AT_ONCE = ("claude-failover-spawn.socket", _DIED)
_CHECKED, _WATCHED = "claude-failover-check.timer", "claude-failover-watch.service"
_LINGER = "/var/lib/systemd/linger"
_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Change:
    """One thing to do: a file to ``write`` or ``remove``, or a command of systemd's to ``run``."""

    what: str
    path: str = ""
    text: str = ""
    command: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Return what is done, and to which file or by which command."""
        return {"do": self.what, "path": self.path or None, "command": list(self.command) or None}

    def __str__(self) -> str:
        """Say what is done."""
        return f"{self.what} {self.path or ' '.join(self.command)}"


class UnitsRefused(Refused):
    """Files in the way that ``install`` does not touch, all of them."""

    def __init__(self, findings: list[Finding]) -> None:
        self.findings = findings
        super().__init__("\n".join(map(str, findings)))


def owner_of(user: str | None, by_user: bool, environ: Mapping[str, str]) -> Owner:
    """Return whom units are for: *user*'s of the system, or with *by_user* the caller's own.

    Raises WrongUsage where that cannot be, with what to call instead.
    """
    own = pwd.getpwuid(os.geteuid())
    if by_user:
        if user not in (None, own.pw_name):
            raise WrongUsage(f"--user installs your own units: run it as {user}")
        return Owner(own.pw_name, environ.get("HOME") or own.pw_dir, by_user=True)
    if os.geteuid() != 0:
        raise WrongUsage(f"only root can write {_SYSTEM}: use sudo, or install --user")
    if user is None:
        raise WrongUsage("name the user that sessions run as: launcher install --for USER")
    try:
        return Owner(user, pwd.getpwnam(user).pw_dir, by_user=False)
    except KeyError:
        raise WrongUsage(f"there is no user {user}") from None


def as_read_by(owner: Owner, path: str) -> Inventory:
    """Return the inventory at *path* as *owner* reads it: ``~`` is the owner's home."""
    with home_is(owner.home):
        try:
            return load(path)
        except InventoryError as error:
            raise WrongInventory(str(error)) from error


def install(
    inventory: Inventory,
    owner: Owner,
    environ: Mapping[str, str],
    *,
    network: bool = False,
    watch: bool = False,
    dry_run: bool = False,
) -> list[Change]:
    """Write the units of *inventory* and have them started at boot; return what was done.

    With *watch* the report is kept true by ``launcher watch``, else by a check every few minutes.

    The answer is empty where all is in place already. *dry_run* returns what would be done.
    Raises UnitsRefused, with all that is in the way, before anything is written.
    """
    directory = _directory(owner, environ)
    units = rendered(inventory, owner, environ, network=network)
    _refuse(directory, owner)
    changes = [
        Change("write", os.path.join(directory, name), text)
        for name, text in units.items()
        if _content(os.path.join(directory, name)) != text
    ]
    if changes:
        changes += [_systemctl(owner, "daemon-reload")]
    keeps, other = (_WATCHED, _CHECKED) if watch else (_CHECKED, _WATCHED)
    if not _enabled(owner, keeps):
        if _is(owner, "is-enabled", other):
            changes.append(_systemctl(owner, "disable", "--now", other))
        changes += [
            _systemctl(owner, "enable", _AT_BOOT),
            _systemctl(owner, "enable", "--now", *_AT_ONCE, keeps),
        ]
    elif any(change.path.endswith(".path") for change in changes):
        changes.append(_systemctl(owner, "try-restart", _DIED))  # it may wait elsewhere now
    if _has_to_linger(inventory, owner, environ):
        changes.insert(0, Change("run", command=("loginctl", "enable-linger", owner.name)))
    return changes if dry_run else _carry_out(changes)


def not_found_at_boot(inventory: Inventory, owner: Owner) -> list[Finding]:
    """Return why the unit could not start a session's program, by the ``PATH`` that it has.

    That is the one of its manager, or of a drop-in's ``Environment=``; it is hardly ever a login
    shell's. Empty where systemd does not tell it.
    """
    path = _path_of_the_unit(owner)
    if path is None:
        return []
    with home_is(owner.home):
        found = [judge_program(session, {"PATH": path}) for session in inventory.sessions]
    return [finding for finding in found if finding is not None]


def _path_of_the_unit(owner: Owner) -> str | None:
    """Ask the manager for its environment, a variable per line, and the unit for its own."""
    told = _said(owner, "show-environment").splitlines()
    told.append(_said(owner, "show", "--property=Environment", "--value", _AT_BOOT))
    words = [word for line in told for word in _words(line)]
    paths = [word.removeprefix("PATH=") for word in words if word.startswith("PATH=")]
    return paths[-1] if paths else None


def _words(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError:  # some other variable's $'...'
        return []


def _said(owner: Owner, *arguments: str) -> str:
    command = ["systemctl", *owner.manager, *arguments]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout if done.returncode == 0 else ""


def _has_to_linger(inventory: Inventory, owner: Owner, environ: Mapping[str, str]) -> bool:
    """Tell whether the owner's manager keeps the sessions, and would end with the last login.

    Of units of the user's own the same is true, but to let somebody linger is root's to decide.
    """
    if owner.by_user or owner.name == "root":
        return False
    backend = chosen_backend(inventory.settings.backend, environ)
    return backend == "systemd" and not os.path.exists(os.path.join(_LINGER, owner.name))


def remove(owner: Owner, environ: Mapping[str, str], *, dry_run: bool = False) -> list[Change]:
    """Take the units away that :func:`install` wrote for *owner*; sessions go on running.

    Raises UnitsRefused before anything is removed where one of them is not as it was written.
    """
    directory = _directory(owner, environ)
    _refuse(directory, owner)
    paths = [os.path.join(directory, name) for name in UNITS]
    found = {os.path.basename(path): path for path in paths if _content(path) is not None}
    if not found:
        return []
    changes = []
    if _AT_BOOT in found:  # systemctl takes no name of a unit that a removal cut short took away
        # Not stopped: that the boot's start was green stays true, and its stop would do nothing.
        changes.append(_systemctl(owner, "disable", _AT_BOOT))
    if at_once := [name for name in (*_AT_ONCE, _CHECKED, _WATCHED) if name in found]:
        changes.append(_systemctl(owner, "disable", "--now", *at_once))
    changes += [Change("remove", path) for path in found.values()]
    changes.append(_systemctl(owner, "daemon-reload"))
    return changes if dry_run else _carry_out(changes)


def _refuse(directory: str, owner: Owner) -> None:
    findings = []
    for name in UNITS:
        path = os.path.join(directory, name)
        text = _content(path)
        if text is None or writer(text) == owner.name:
            continue
        other = writer(text)
        findings.append(
            Finding(
                invariant="install",
                state="edited" if other is None else "another-user's",
                expected=f"{path}, as launcher install writes it for {owner.name}",
                found=f"the units for {other}" if other else "a file that was written or edited",
                fix=f"launcher install --remove --for {other}"
                if other
                else set_aside(path, "aside"),
            )
        )
    if findings:
        raise UnitsRefused(findings)


def _directory(owner: Owner, environ: Mapping[str, str]) -> str:
    if not owner.by_user:
        return _SYSTEM
    config = environ.get("XDG_CONFIG_HOME", "")
    if not os.path.isabs(config):
        config = os.path.join(owner.home, ".config")
    return os.path.join(config, "systemd", "user")


def _content(path: str) -> str | None:
    """Return what stands at *path*: None for nothing, and no unit of ours for what is no file."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return "" if os.path.islink(path) else file.read()
    except (FileNotFoundError, NotADirectoryError):
        return "" if os.path.islink(path) else None
    except OSError as error:
        return f"({error.strerror})"


def _systemctl(owner: Owner, *arguments: str) -> Change:
    return Change("run", command=("systemctl", *owner.manager, *arguments))


def _enabled(owner: Owner, keeps: str) -> bool:
    """Tell whether all that are started by themselves are enabled and, so far, active.

    *keeps* is the one that keeps the report true.
    """
    names = (*_AT_ONCE, keeps)
    return all(_is(owner, "is-enabled", name) for name in (_AT_BOOT, *names)) and all(
        _is(owner, "is-active", name) for name in names
    )


def _is(owner: Owner, question: str, name: str) -> bool:
    """Ask systemctl, which says yes of several units where it is so of one (systemctl(1))."""
    command = ["systemctl", *owner.manager, "--quiet", question, name]
    try:
        done = subprocess.run(command, capture_output=True, timeout=_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def _carry_out(changes: list[Change]) -> list[Change]:
    for change in changes:
        try:
            if change.what == "write":
                _write(change.path, change.text)
            elif change.what == "remove":
                os.unlink(change.path)
            else:
                _run(change.command)
        except OSError as error:
            raise Unavailable(f"could not {change}: {error.strerror or error}") from error
    return [replace(change, text="") for change in changes]


def _write(path: str, text: str) -> None:
    """Replace a unit by rename: systemd never reads half of one."""
    os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
    beside = f"{path}.{os.getpid()}.new"
    try:
        with open(beside, "x", encoding="utf-8") as file:
            os.fchmod(file.fileno(), 0o644)
            file.write(text)
        os.rename(beside, path)
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(beside)
        raise


def _run(command: tuple[str, ...]) -> None:
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        raise Unavailable(f"no answer within {_SECONDS:g} s: {' '.join(command)}") from None
    if done.returncode != 0:
        raise Unavailable(f"{' '.join(command)}: {done.stderr.strip() or done.returncode}")
