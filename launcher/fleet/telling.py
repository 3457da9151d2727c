"""From one source to the VM that it tells of."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from launcher.fleet.model import Vm
from launcher.fleet.source import Source
from launcher.formats.words import plain, split
from launcher.reading import MALFORMED, Outcome, Reading, reading_elsewhere
from launcher.report import NoReport, parsed


def told(source: Source, max_age: float) -> Vm:
    """Return the VM that *source* tells of; one whose report is no good is unknown, and why.

    Its name is what the report says; where it says none, what its directory or file is called.
    Of the report only what is shown is kept.
    """
    if source.content is None:
        return _unknown(source, source.problem or "", max_age)
    try:
        document = parsed(source.content)
    except (ValueError, RecursionError):
        return _unknown(source, "it is torn", max_age)
    except NoReport as error:
        return _unknown(source, str(error), max_age, error.document)
    try:
        reading = reading_elsewhere(document, source.path, max_age)
    except MALFORMED:
        return _unknown(source, "it is not as a report is", max_age, document)
    name = _name(reading.host, source)
    note = None if _is_filed_so(name, source) else f"in {plain(source.filed)}"
    if reading.problem is not None:
        kept = reading._replace(failures=(), sessions=(), warned=(), outcomes={}, document=None)
        return Vm(name, source.filed, kept, note, paths=(source.path,))
    holds = _holding(reading.outcomes)
    kept = reading._replace(outcomes={}, document=None)
    off = tuple(sorted(map(plain, reading.off)))
    return Vm(name, source.filed, kept, note, holds, off, (source.path,))


def _unknown(
    source: Source, problem: str, max_age: float, document: Mapping[str, Any] | None = None
) -> Vm:
    failover = (document or {}).get("failover")
    host = failover.get("host") if isinstance(failover, dict) else None
    host = host if isinstance(host, str) else ""
    problem = f"{plain(source.path)}: {problem}"
    reading = Reading(source.path, None, problem=problem, host=host, max_age=max_age)
    return Vm(_name(host, source), source.filed, reading, paths=(source.path,))


def _name(host: str, source: Source) -> str:
    return plain(host or source.filed or source.path)


def _is_filed_so(name: str, source: Source) -> bool:
    """Tell whether the directory or file has the VM's name, be it with a domain behind it."""
    filed = plain(source.filed)
    return not filed or filed.partition(".")[0] == name.partition(".")[0]


def _holding(outcomes: Mapping[str, Outcome]) -> frozenset[str]:
    names = {_invariant(nodeid) for nodeid, one in outcomes.items() if one.passed}
    failing = {_invariant(nodeid) for nodeid, one in outcomes.items() if not one.passed}
    return _same(frozenset(names - failing))


@lru_cache(maxsize=4096)
def _invariant(nodeid: str) -> str:
    return split(nodeid)[0]


@lru_cache(maxsize=1024)
def _same(names: frozenset[str]) -> frozenset[str]:
    """Return the one set that is kept for all VMs with these *names*."""
    return names
