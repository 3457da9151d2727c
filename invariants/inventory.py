"""``failover.toml``: where it is looked for, whether it can be trusted, and what it says.

Validation reads the inventory file and nothing else: no home or target is touched, so that a
dead mount under one of them cannot hang the launcher before its time limit runs.
"""

from __future__ import annotations

import errno
import os
import stat
import tomllib
from collections.abc import Collection, Iterable, Mapping

from invariants.finding import quoted
from invariants.model import Account, Inventory, Link, Session, Settings
from invariants.safety import trusted_users, unsafe
from invariants.schema import decode

__all__ = [
    "VARIABLE",
    "Account",
    "Inventory",
    "InventoryError",
    "Link",
    "Session",
    "Settings",
    "default_places",
    "inventory_option",
    "load",
    "locate",
]

VARIABLE = "CLAUDE_FAILOVER_INVENTORY"
MAX_BYTES = 4 * 1024 * 1024


class InventoryError(Exception):
    """The inventory is missing or wrong.

    ``problems`` holds all of them, each with its place; ``paths`` the files concerned;
    ``report`` and ``metrics`` where the file asks for its report and its metrics, if that much of
    it could be read and nobody else could have written it.
    """

    def __init__(
        self,
        paths: Iterable[str],
        problems: Iterable[str],
        report: str | None = None,
        metrics: str | None = None,
    ) -> None:
        self.paths = tuple(paths)
        self.problems = tuple(problems)
        self.report = report
        self.metrics = metrics
        file = f"{self.paths[0]}: " if len(self.paths) == 1 else ""
        super().__init__("\n".join(file + problem for problem in self.problems))


def locate(option: str | None, environ: Mapping[str, str]) -> str:
    """Return the inventory's absolute path: the option, the variable, the user's, the system's.

    A file named by the option or the variable is not looked for here; a default one must
    exist. Raises InventoryError, with every place that was looked at, where none does.
    """
    for named in (option, environ.get(VARIABLE)):
        if named:
            return os.path.abspath(os.path.expanduser(named))
    places = default_places(environ)
    for place in places:
        try:
            os.lstat(place)
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            raise InventoryError([place], [f"cannot be looked at: {error.strerror}"]) from error
        return place
    looked = ", ".join(places)
    raise InventoryError(
        places,
        [
            f"no inventory: looked for {looked}; write one there, "
            f"or name one with --inventory PATH or ${VARIABLE}"
        ],
    )


def default_places(environ: Mapping[str, str]) -> list[str]:
    """Return where an inventory that nobody named is looked for, first match first.

    A relative ``XDG_CONFIG_HOME`` is ignored, as the XDG Base Directory Specification asks.
    """
    config = environ.get("XDG_CONFIG_HOME", "")
    if not os.path.isabs(config):
        config = os.path.expanduser("~/.config")
    places = [os.path.join(config, "claude-failover", "failover.toml")]
    if not os.path.isabs(config):  # nobody's home, or a relative one: never the working directory
        places = []
    return [*places, "/etc/claude-failover/failover.toml"]


def inventory_option(path: str, environ: Mapping[str, str]) -> str:
    """Return what a pasted command needs to reach the same inventory: nothing, or the option."""
    try:
        if locate(None, environ) == path:
            return ""
    except InventoryError:
        pass
    return f" --inventory {quoted(path)}"


def load(path: str, users: Collection[int] = ()) -> Inventory:
    """Read and validate the inventory at the absolute *path*.

    It must be one that only root, this process's user and *users* (uids) can write. Raises
    InventoryError with every problem of the file, each with its place in it. What a file says that
    others could change is judged all the same, but never acted on.
    """
    text, exposed = _read(path, {*trusted_users(), *users})
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InventoryError([path], [*exposed, f"not TOML: {error}"]) from error
    except ValueError as error:  # int() takes 4,300 digits, and tomllib lets its error through
        problem = "not an inventory: holds a number too long"
        raise InventoryError([path], [*exposed, problem]) from error
    except RecursionError as error:
        raise InventoryError([path], [*exposed, "not an inventory: nested too deeply"]) from error
    inventory, problems = decode(document, path)
    if exposed or problems:
        hidden = exposed or any(map(_concerns_report, problems))
        settings = inventory.settings
        report, metrics = (None, None) if hidden else (settings.report, settings.prometheus)
        raise InventoryError([path], [*exposed, *problems], report, metrics)
    return inventory


def _concerns_report(problem: str) -> bool:
    """Tell whether a place that would be written to is what is wrong: it may lie inside a home."""
    return problem.startswith(
        ("launcher:", "launcher.report:", "launcher.state:", "launcher.prometheus:")
    )


def _read(path: str, users: Collection[int]) -> tuple[str, list[str]]:
    """Return the text of the file, and why others than *users* could change it."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR):
            raise InventoryError([path], ["does not exist"]) from error
        raise InventoryError([path], [f"cannot be read: {error.strerror}"]) from error
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            what = "a directory" if stat.S_ISDIR(status.st_mode) else "not a regular file"
            raise InventoryError([path], [f"is {what}"])
        problems = unsafe(path, status, descriptor, users)
        if status.st_size > MAX_BYTES:
            problem = f"is too large: {status.st_size} bytes, at most {MAX_BYTES} are read"
            raise InventoryError([path], [*problems, problem])
        with open(descriptor, "rb", closefd=False) as file:  # refuses a directory itself
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise InventoryError([path], [f"cannot be read: {error.strerror}"]) from error
    finally:
        os.close(descriptor)
    try:
        return content.decode("utf-8-sig").replace("\r\n", "\n"), problems
    except UnicodeDecodeError as error:
        decoded = error.object  # what follows the BOM, which error.start counts from
        line = decoded.count(b"\n", 0, error.start) + 1
        problem = f"not UTF-8: byte 0x{decoded[error.start]:02x} (at line {line})"
        raise InventoryError([path], [*problems, problem]) from error
