"""Paths of an inventory that must not be one, or one inside another."""

from typing import NamedTuple

from invariants.finding import shown


class Claim(NamedTuple):
    """A path that something of the inventory has to itself, and where the file says so."""

    path: str
    kind: str  # one of _WORDS
    place: str
    owner: str


def overlaps(claims: list[Claim]) -> list[str]:
    """Refuse paths that are one, or one inside another, where that would mix things up.

    Sorted by their components, whatever lies inside a path comes right behind it, and of one
    path what the file names first. The problems are in the order of the file.
    """
    problems = []
    around: list[Claim] = []
    for index, claim in sorted(enumerate(claims), key=lambda pair: pair[1].path.split("/")):
        while around and not f"{claim.path}/".startswith(around[-1].path.rstrip("/") + "/"):
            around.pop()
        for outer in around:
            if text := _overlap(claim, outer):
                problems.append((index, text))
        # One of a path and kind is enough: a hundred accounts with one home are 99 problems.
        if not any((claim.path, claim.kind) == (outer.path, outer.kind) for outer in around):
            around.append(claim)
    return [text for _, text in sorted(problems)]


def _overlap(inner: Claim, outer: Claim) -> str | None:
    path = shown(inner.path)
    same = inner.path == outer.path
    if inner.kind not in _KEPT_OUT[outer.kind] or (outer.kind == "state" and not same):
        return None
    owner = f" of {outer.owner}" if outer.kind in ("home", "target") else ""
    if same and inner.kind == outer.kind:
        return f"{inner.place}: {path} is the {_WORDS[outer.kind]}{owner} already"
    within = "is" if same else "lies inside"
    what, around = _WORDS[inner.kind], _WORDS[outer.kind]
    return f"{inner.place}: the {what} {path} {within} the {around}{owner}"


_WORDS = {
    "inventory": "inventory",
    "home": "home",
    "target": "target",
    "state": "launcher's state directory",
    "lock": "launcher's lock",
    "records": "directory of the sessions' records",
    "history": "history of verdicts",
    "report": "report",
    "invariants": "directory of own invariants",
    "metrics": "metrics",
}

_FILES = frozenset({"report", "metrics"})
_OTHERS = frozenset({"home", "target", "state", "invariants"}) | _FILES
_KEPT_OUT = {
    "home": _OTHERS,
    "target": _OTHERS,
    "inventory": frozenset({"state"}) | _FILES,
    "state": _FILES,  # inside it is the report's place; it must not be it
    "lock": _FILES,
    "records": _FILES,
    "history": _FILES,
    "report": frozenset({"state", "metrics"}),
    "metrics": frozenset({"state", "report"}),
    "invariants": frozenset({"invariants", "state"}) | _FILES,
}
"""What may neither be a path of a kind nor lie inside one."""
