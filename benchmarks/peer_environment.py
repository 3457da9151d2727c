"""Where peers from PyPI are installed: a virtual environment of their own, outside the checkout."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

PEERS = ("pytest-testinfra>=10,<11", "tmuxp>=1.50,<2")


class PeerMissing(Exception):
    """A peer is not there and could not be installed."""


def peer_python() -> str:
    """Return the Python of the peers' environment, made where it is missing.

    It stands in ``$XDG_CACHE_HOME`` or ``~/.cache``, and is kept for the next run. Raises
    PeerMissing with pip's last line where that fails, say without a network.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    root = cache / "claude-failover-bench" / "peers"
    python, made = root / "bin" / "python", root / ".made"
    wanted = "\n".join(PEERS)
    if made.is_file() and made.read_text() == wanted:
        return str(python)
    for command in (
        [sys.executable, "-m", "venv", str(root)],
        [str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check", *PEERS],
    ):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            said = (done.stdout + done.stderr).strip().splitlines()
            raise PeerMissing(f"could not be installed: {said[-1] if said else done.returncode}")
    made.write_text(wanted)
    return str(python)


def peer_program(name: str) -> str:
    """Return the path of a program of the peers'. Raises PeerMissing."""
    return str(Path(peer_python()).with_name(name))
