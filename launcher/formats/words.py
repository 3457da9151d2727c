"""Words that stand in every format: what is told of a failure, on lines that stay lines."""

from collections.abc import Iterator
from typing import NamedTuple

from invariants.finding import Finding
from invariants.warning import Warned
from launcher.reading import Reading
from launcher.verdict import Failure


def plain(text: str) -> str:
    r"""Return *text* on one line, each character that cannot be printed as an escape.

    Names of files may hold line ends, terminal controls, marks that turn the direction of
    writing, and bytes that are no text, which Python carries as surrogates.

    >>> plain("a\nb\x1b[31m\udcff")
    'a\\nb\\x1b[31m\\udcff'
    """
    return "".join(
        one if one.isprintable() else one.encode("unicode_escape").decode("ascii") for one in text
    )


def brief(finding: Finding) -> str:
    """Return where and what, in a few words."""
    return plain(finding.title)


def fields(finding: Finding) -> list[tuple[str, str]]:
    """Return what a person is told of a failure, each field on one line."""
    return [
        ("expected", plain(finding.wanted)),
        ("found", plain(finding.found)),
        ("fix", plain(finding.fix)),
    ]


def warning(warned: Warned) -> str:
    """Return a warning on one line."""
    return plain(f"warning: {warned.place}: {warned.found}; fix: {warned.fix}")


def warning_fields(warned: Warned) -> list[tuple[str, str]]:
    """Return what a person is told of a warning beside its place, each field on one line."""
    return [("found", plain(warned.found)), ("fix", plain(warned.fix))]


class Result(NamedTuple):
    """One check that a report tells of: its id, its seconds, and why it failed, if it did."""

    nodeid: str
    seconds: float
    failure: Failure | None


def results(reading: Reading) -> Iterator[Result]:
    """Yield every check that is known to have passed or failed.

    None where the report does not count now, or no run of pytest was judged.
    """
    if reading.problem is not None:
        return
    failures = {failure.nodeid: failure for failure in reading.failures}
    for nodeid, outcome in reading.outcomes.items():
        if outcome.passed or nodeid in failures:
            yield Result(nodeid, outcome.seconds, failures.pop(nodeid, None))
    for nodeid, failure in failures.items():
        yield Result(nodeid, 0.0, failure)


def split(nodeid: str) -> tuple[str, str]:
    """Return the invariant and the subject of a check's id.

    >>> split("invariants/test_links.py::test_link_is_shared[backup-projects]")
    ('link_is_shared', 'backup-projects')
    """
    name = nodeid.rpartition("::")[2].removeprefix("test_")
    invariant, _, subject = name.partition("[")
    return plain(invariant), plain(subject.removesuffix("]"))
