"""One run of all invariants, in a child process of its own, under a time limit, judged."""

from __future__ import annotations

import json
import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import IO, Any, cast

from invariants.checks import Check, directory, expected_checks
from invariants.inventory import VARIABLE, Inventory
from launcher.errors import Interrupted
from launcher.interrupts import Interrupts
from launcher.verdict import Colour, Verdict, judge

_KEPT = frozenset(
    {"HOME", "USER", "LOGNAME", "PATH", "LANG", "TZ", "LD_LIBRARY_PATH", "XDG_CONFIG_HOME"}
) | {VARIABLE}
_TAIL = 4096
_PATIENCE = 2.0


@dataclass(frozen=True, slots=True)
class Gate:
    """One gate: its verdict, pytest's document, and when it ran (seconds since the epoch)."""

    verdict: Verdict
    document: dict[str, Any]
    started: float
    finished: float


def validate_all(
    inventory: Inventory,
    *,
    environ: Mapping[str, str] = os.environ,
    interrupts: Interrupts | None = None,
) -> Gate:
    """Run every invariant that *inventory* calls for and judge the run: all accounts, all problems.

    Takes at most the inventory's ``timeout`` (and two seconds to end what hangs). Never raises
    for what goes wrong with the run: that is the verdict unknown, with its reason. A signal
    while it runs, noted by *interrupts*, is such a reason too. Nothing is published.
    """
    if interrupts is None:
        with Interrupts() as noted:
            return validate_all(inventory, environ=environ, interrupts=noted)
    started, clock = time.time(), time.monotonic()
    expected = expected_checks(inventory, environ)
    document: dict[str, Any] = {}
    try:
        run = _run(inventory, environ, interrupts)
        if run.status is None:
            reason = f"no verdict within {inventory.settings.timeout:g} s"
            if run.current in expected:
                reason += f", hung at {_subject(expected[run.current], inventory)}"
            verdict = Verdict(Colour.UNKNOWN, reason)
        else:
            document = _parsed(run.document)
            verdict = judge(run.status, document, expected)
            if verdict.colour is Colour.UNKNOWN and not document and run.output:
                verdict = replace(verdict, reason=f"{verdict.reason} ({run.output})")
    except (OSError, MemoryError, ValueError, subprocess.SubprocessError) as error:
        verdict = Verdict(Colour.UNKNOWN, f"the gate could not be run: {error!r}")
    except Interrupted as error:
        verdict = Verdict(Colour.UNKNOWN, str(error))
    if not verdict.expected:
        verdict = replace(verdict, expected=len(expected))
    return Gate(verdict, document, started, started + time.monotonic() - clock)


def _subject(check: Check, inventory: Inventory) -> str:
    """Say what a check looks at, with the path that a person would look at next."""
    if check.session is not None:
        paths = [one.directory for one in inventory.sessions if one.name == check.session]
        return f"session {check.session} ({paths[0]})"
    if check.account is not None:
        return f"{check.account} {check.link or 'home'} ({inventory.account(check.account).home})"
    paths = [link.target for link in inventory.links if link.name == check.link]
    return f"target of {check.link} ({paths[0]})" if paths else check.invariant


def gate_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Return what of *environ* the child gets: nothing that pytest or Python listens to."""
    return {
        name: value for name, value in environ.items() if name in _KEPT or name.startswith("LC_")
    }


@dataclass(frozen=True, slots=True)
class _Run:
    """How a child ended: its exit status (None: the time limit), and what it left."""

    status: int | None
    document: bytes
    current: str
    output: str


def _run(inventory: Inventory, environ: Mapping[str, str], interrupts: Interrupts) -> _Run:
    here = os.path.dirname(os.path.abspath(__file__))
    if directory() != os.path.join(os.path.dirname(here), "invariants"):
        # Another copy, by PYTHONPATH or a leftover: what is judged would not be what is run.
        raise ValueError(f"invariants stand in {directory()}, and not beside {here}")
    limit = inventory.settings.timeout
    with _memory("inventory") as given, _memory("document") as made, _memory("check") as current:
        given.write(pickle.dumps(inventory))
        given.flush()
        given.seek(0)
        shared = [file.fileno() for file in (given, made, current)]
        command = [sys.executable, "-I", "-X", "utf8", os.path.join(here, "child.py")]
        command += [os.path.dirname(here), str(limit), *map(str, shared)]
        child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=gate_environment(environ),
            cwd="/",
            pass_fds=shared,
            start_new_session=True,
        )
        try:
            output = _wait(child, limit, interrupts)
        finally:
            _end(child)
        status = child.returncode if output is not None else None
        return _Run(status, _content(made), _first_line(_content(current)), output or "")


def _memory(name: str) -> IO[bytes]:
    """Open a file without a name or a disk: full disks and stale files cannot interfere."""
    return open(os.memfd_create(f"claude-failover-{name}"), "w+b")


def _wait(child: subprocess.Popen[bytes], limit: float, interrupts: Interrupts) -> str | None:
    """Wait for the child's end; return the last line it printed, or None when time is over."""
    ending, pipe = os.pidfd_open(child.pid), cast(IO[bytes], child.stdout).fileno()
    os.set_blocking(pipe, False)
    tail = b""
    until = time.monotonic() + limit
    watched = [ending, pipe]
    try:
        while (left := until - time.monotonic()) > 0:
            ready = interrupts.poll(watched, left)
            if pipe in ready:
                chunk = _read(pipe)
                tail = (tail + chunk)[-_TAIL:]
                if not chunk:
                    watched = [ending]
            if ending in ready:
                child.wait()
                return _last_line(tail)
        return None
    finally:
        os.close(ending)


def _read(pipe: int) -> bytes:
    try:
        return os.read(pipe, 65536)
    except BlockingIOError:
        return b""


def _end(child: subprocess.Popen[bytes]) -> None:
    """Kill what is left of the child's process group, and do not wait for what cannot die.

    A process in an uninterruptible system call (a dead mount) outlives even SIGKILL.
    """
    try:
        os.killpg(child.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    if child.stdout is not None:
        child.stdout.close()
    try:
        child.wait(_PATIENCE)
    except subprocess.TimeoutExpired:
        child.returncode = -signal.SIGKILL  # keeps Popen from warning about a child left behind


def _content(file: IO[bytes]) -> bytes:
    file.seek(0)
    return file.read()


def _first_line(content: bytes) -> str:
    return content.partition(b"\n")[0].decode(errors="replace")


def _last_line(content: bytes) -> str:
    lines = [line.strip() for line in content.decode(errors="replace").splitlines()]
    return next((line for line in reversed(lines) if line), "")


def _parsed(content: bytes) -> dict[str, Any]:
    try:
        document = json.loads(content)
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}
