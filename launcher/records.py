"""What the launcher notes about a session in its state directory: one small JSON file each."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any

from invariants.folders import RECORDS, record_path
from launcher.directories import make_readable
from launcher.errors import NotJudged
from launcher.replacing import replace_file
from launcher.trusted import open_trusted, users_of

SCHEMA = 1
CONVERSATIONS = RECORDS
_MAX_BYTES = 65536
_MODE = 0o600


def path_of(state: str, kind: str, name: str) -> str:
    """Return where the record of a *kind* about the session *name* is."""
    return record_path(state, kind, name)


def read(state: str, kind: str, name: str) -> dict[str, Any] | None:
    """Return a record, or None where there is none. Raises NotJudged for one that is not whole."""
    path = path_of(state, kind, name)
    try:
        with open_trusted(path, users_of(state)) as file:
            record = json.loads(file.read(_MAX_BYTES))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise NotJudged(f"{path} cannot be read: {error.strerror}") from error
    except ValueError:
        record = None
    if not isinstance(record, dict) or record.get("schema") != SCHEMA:
        raise NotJudged(f"{path} is no record of this version")
    return record


def names(state: str, kind: str) -> list[str]:
    """Return the sessions with a record of a *kind*, in order. Raises OSError."""
    try:
        files = os.listdir(os.path.join(state, kind))
    except (FileNotFoundError, NotADirectoryError):
        return []
    return sorted(file.removesuffix(".json") for file in files if file.endswith(".json"))


def write(state: str, kind: str, name: str, record: Mapping[str, Any]) -> None:
    """Replace a record, durably. Raises OSError; then the one before stands."""
    path = path_of(state, kind, name)
    make_readable(os.path.dirname(path))
    content = json.dumps({"schema": SCHEMA, "session": name, **record}).encode() + b"\n"
    replace_file(path, content, _MODE)


def remove(state: str, kind: str, name: str) -> None:
    """Remove a record, durably; there need be none. Raises OSError."""
    path = path_of(state, kind, name)
    try:
        os.unlink(path)
    except (FileNotFoundError, NotADirectoryError):
        return
    descriptor = os.open(os.path.dirname(path), os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
