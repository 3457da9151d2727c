"""Installs published versions of Claude Code, each once, into the user's cache."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

PACKAGE = "@anthropic-ai/claude-code"

_SECONDS = 300.0
_HOME = Path.home()  # the user's: a test has a home of its own


def what_is_missing() -> str | None:
    """Return why nothing can be installed here, or None."""
    missing = [name for name in ("npm", "node") if shutil.which(name) is None]
    return (
        f"{' and '.join(missing)} not installed: no Claude Code to test with" if missing else None
    )


def newest() -> str:
    """Return the number of the version that npm calls ``latest`` now.

    Raises RuntimeError without the registry: an older one would be taken for the newest.
    """
    asked = _npm("view", f"{PACKAGE}@latest", "version")
    if asked.returncode != 0:
        raise RuntimeError(f"npm does not show the newest {PACKAGE}: {asked.stderr}")
    return asked.stdout.strip()


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
    # 2.0 is one script: its optional packages are for pictures, and they are ranges that float.
    without = ["--omit=optional"] if version.startswith("2.0.") else []
    try:
        done = _npm("install", "--prefix", beside, f"{PACKAGE}@{version}", *without)
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
