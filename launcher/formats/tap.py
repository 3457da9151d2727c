"""TAP, version 14 (testanything.org): a line for each check, and YAML below one that failed."""

from __future__ import annotations

import json
from collections.abc import Iterable

from launcher.formats import Shown
from launcher.formats.words import brief, fields, plain, results, split, warning
from launcher.reading import Reading
from launcher.verdict import Colour, Failure


def show(reading: Reading) -> Shown:
    """Return a test point for each check, for each session that is not up, for no verdict.

    Warnings are comments at the end: a harness shows those, and counts none.
    """
    points: list[list[str]] = []

    def add(passed: bool, description: str, about: Iterable[tuple[str, str]] = ()) -> None:
        points.append(_point(len(points) + 1, passed, description, about))

    for result in results(reading):
        add(
            result.failure is None,
            " ".join(filter(None, split(result.nodeid))),
            _about(result.failure),
        )
    for session in reading.failed_sessions:
        about = [("state", session.state.value), ("found", plain(session.detail or ""))]
        add(False, f"session_is_up {plain(session.name)}", about)
    if reading.verdict is Colour.UNKNOWN:
        add(False, "verdict_is_known", [("message", plain(reading.summary))])
    lines = ["TAP version 14", f"1..{len(points)}", *(line for point in points for line in point)]
    lines += [f"# {warning(warned)}" for warned in reading.warnings]
    return Shown("\n".join(lines) + "\n", reading.code)


def _point(
    number: int, passed: bool, description: str, about: Iterable[tuple[str, str]]
) -> list[str]:
    escaped = description.replace("\\", "\\\\").replace("#", "\\#")
    lines = [f"{'ok' if passed else 'not ok'} {number} - {escaped}"]
    if not passed:
        # JSON's strings are YAML's: quoted, with nothing left to mean anything.
        lines += ["  ---", *(f"  {key}: {json.dumps(text)}" for key, text in about), "  ..."]
    return lines


def _about(failure: Failure | None) -> list[tuple[str, str]]:
    if failure is None:
        return []
    return [("message", brief(failure.finding)), *fields(failure.finding)]
