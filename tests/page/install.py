"""Installs what drives a browser and what judges a page, once, into the user's cache."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

PACKAGES = ("playwright-core@1.65.1", "axe-core@4.14.1")
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
_SECONDS = 300.0


def browser() -> str | None:
    """Return the Chromium of this machine (Debian: chromium), or None."""
    return next((path for name in BROWSERS if (path := shutil.which(name))), None)


def what_is_missing() -> str | None:
    """Return why no page can be looked at here, or None."""
    missing = [name for name in ("npm", "node") if shutil.which(name) is None]
    missing += [] if browser() else ["chromium"]
    return f"not installed: {', '.join(missing)}" if missing else None


def modules() -> Path:
    """Return the directory of the npm packages, installed if they are not in the cache yet."""
    root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "claude-failover"
    place = root / "page" / "_".join(PACKAGES).replace("@", "-")
    place.parent.mkdir(parents=True, exist_ok=True)
    with (place.parent / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not place.exists():
            _install(place)
    return place / "node_modules"


def _install(place: Path) -> None:
    """Install beside *place*, then rename: what is there is whole."""
    beside = tempfile.mkdtemp(prefix="new-", dir=place.parent)
    options = ["--loglevel=error", "--no-audit", "--no-fund", "--ignore-scripts"]
    try:
        subprocess.run(
            ["npm", "install", "--prefix", beside, *PACKAGES, *options],
            stdin=subprocess.DEVNULL,
            check=True,
            timeout=_SECONDS,
        )
        os.rename(beside, place)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
