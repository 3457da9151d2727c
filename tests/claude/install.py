"""Installs published versions of Claude Code, each once, into the user's cache."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import subprocess
import tempfile
from contextlib import suppress
from functools import cache
from pathlib import Path

PACKAGE = "@anthropic-ai/claude-code"
NEWEST = "latest"
VERSIONS = (NEWEST, "2.1.197", "2.0.76")
"""What the tests run: the newest there is, an earlier 2.1, and the last 2.0."""

_SECONDS = 300.0
_HOME = Path.home()  # the user's: a test has a home of its own


def what_is_missing() -> str | None:
    """Return why nothing can be installed here, or None."""
    missing = [name for name in ("npm", "node") if shutil.which(name) is None]
    return (
        f"{' and '.join(missing)} not installed: no Claude Code to test with" if missing else None
    )


@cache
def number(version: str) -> str:
    """Return the number of a version: of ``latest``, the one that the registry has now.

    Without the registry it is the highest one in the cache.
    """
    if version != NEWEST:
        return version
    asked = _npm("view", f"{PACKAGE}@{NEWEST}", "version")
    if asked.returncode == 0:
        return asked.stdout.strip()
    with suppress(OSError):
        if installed := [path.name for path in _cache().iterdir() if path.name[0].isdigit()]:
            return max(installed, key=lambda name: [int(part) for part in name.split(".")])
    raise RuntimeError(f"npm does not tell the newest {PACKAGE}: {asked.stderr}")


@cache
def program(version: str) -> Path:
    """Return the ``claude`` of *version* (a number), installed if it is not in the cache yet."""
    place = _cache() / version
    place.parent.mkdir(parents=True, exist_ok=True)
    with (place.parent / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not place.exists():
            _install(version, place)
    return place / "node_modules" / ".bin" / "claude"


def _install(version: str, place: Path) -> None:
    """Install beside *place*, then rename: what is there is whole."""
    beside = tempfile.mkdtemp(prefix="new-", dir=place.parent)
    try:
        done = _npm("install", "--prefix", beside, f"{PACKAGE}@{version}")
        if done.returncode != 0:
            raise RuntimeError(f"npm does not install {PACKAGE}@{version}: {done.stderr}")
        os.rename(beside, place)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _npm(*arguments: str) -> subprocess.CompletedProcess[str]:
    options = ["--loglevel=error", "--no-audit", "--no-fund", "--cache", str(_cache() / "npm")]
    done = subprocess.run(
        ["npm", *arguments, *options],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=_SECONDS,
    )
    done.stderr = re.sub(r"\s+", " ", done.stderr)
    return done


def _cache() -> Path:
    root = os.environ.get("XDG_CACHE_HOME") or _HOME / ".cache"
    return Path(root) / "claude-failover" / "claude-code"
