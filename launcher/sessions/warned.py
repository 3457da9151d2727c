"""What a look at the sessions warns of: one function for each kind of fact.

A new kind is a function from the look, and what a pasted command needs to reach the inventory, to
its warnings. It is listed in ``KINDS``, and its invariant gets a topic in ``launcher.meanings``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from invariants.warning import Warned
from launcher import left

if TYPE_CHECKING:
    from launcher.sessions.survey import Survey

NOT_IN_INVENTORY = "session_is_in_inventory"
NOT_LOOKED_AT = "sessions_are_looked_at"


def _not_in_inventory(survey: Survey, option: str) -> Iterable[Warned]:
    """Warn of sessions that run though the inventory does not name them any more."""
    for kept in survey.foreign():
        yield Warned(
            invariant=NOT_IN_INVENTORY,
            found=f"it runs, but the inventory does not name it: {kept.where}",
            fix=f"launcher down {kept.name}{option}",
            account=kept.account,
            session=kept.name,
        )


def _left_behind(survey: Survey, option: str) -> Iterable[Warned]:
    """Warn of conversations that sessions left behind."""
    return left.warnings(survey.inventory)


KINDS: tuple[Callable[[Survey, str], Iterable[Warned]], ...] = (_not_in_inventory, _left_behind)


def warned(survey: Survey, option: str) -> tuple[Warned, ...]:
    """Return what *survey* warns of. Nothing that goes wrong here keeps a session from starting.

    A kind that fails is a fault of claude-failover; it is a warning of its own.
    """
    warnings: list[Warned] = []
    for kind in KINDS:
        try:
            warnings += kind(survey, option)
        except Exception as error:
            warnings.append(
                Warned(
                    invariant=NOT_LOOKED_AT,
                    found=f"{kind.__name__.strip('_')} could not be told: {error!r}",
                    fix="launcher check again; if it stays, this is a fault of claude-failover: "
                    "report it",
                )
            )
    return tuple(warnings)
