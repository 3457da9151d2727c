"""What a look at the sessions warns of: one function for each kind of fact.

A new kind is a function from the look, and what a pasted command needs to reach the inventory, to
its warnings. It is listed in ``KINDS``, and its invariant gets a topic in ``launcher.meanings``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from invariants.fixes import noted
from invariants.warning import Warned
from launcher import left
from launcher.verdict import once_more

if TYPE_CHECKING:
    from launcher.sessions.survey import Survey

NOT_IN_INVENTORY = "session_is_in_inventory"
IN_BACKGROUND = "conversation_is_in_the_session"
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


def _in_background(survey: Survey, option: str) -> Iterable[Warned]:
    """Warn of sessions whose conversation is written by a background session."""
    for name, workers in survey.background.items():
        for worker in workers:
            found = f"conversation {worker.conversation} is in the background session {worker.job}"
            yield Warned(
                invariant=IN_BACKGROUND,
                found=f"its {found} (pid {worker.pid}), which `down` and `switch` end",
                fix=noted(worker.fix, "or open it again in the session's terminal"),
                session=name,
            )


KINDS: tuple[Callable[[Survey, str], Iterable[Warned]], ...] = (
    _not_in_inventory,
    _left_behind,
    _in_background,
)


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
                    fix=once_more(option),
                )
            )
    return tuple(warnings)
