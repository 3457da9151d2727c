"""Whether a Claude Code that was just started is at its prompt, with the conversation it was given.

Since 2.1 it says so itself: it notes the conversation in its home as soon as it is there, and not
while it asks for trust, a login or a theme. 2.0 notes nothing, and is taken at its prompt: an
empty ``>`` line on the screen; its questions mark an answer with another sign.
"""

from __future__ import annotations

import re
from time import monotonic

from invariants.model import Session
from launcher.conversations import notes_of_runs
from launcher.errors import Interrupted, LauncherError
from launcher.interrupts import Interrupts
from launcher.sessions import Kept, SessionState
from launcher.sessions.survey import Survey

PATIENCE = 30.0
"""Seconds that it may take: about 1 on a quiet machine, 10 on a busy one."""

_PROMPT = re.compile(r"^[❯>]\s*$|^> ", re.MULTILINE)
_PAUSE = 0.1


def why_not_ready(
    survey: Survey, session: Session, conversation: str, interrupts: Interrupts
) -> str | None:
    """Wait until *session* is at its prompt with *conversation*; return why it is not, or None."""
    until = monotonic() + PATIENCE
    try:
        while True:
            survey.look()
            seen = survey.status(session, SessionState.STOPPED)
            if seen.state is not SessionState.RUNNING:
                return f"it {seen.detail or 'has ended'}"
            (kept,) = survey.alive(session.name)
            (note,) = notes_of_runs([kept], survey, interrupts)
            if note is not None and note.conversation is not None:
                other = f"it went over to another conversation, {note.conversation}"
                return None if note.conversation == conversation else other
            if note is None and _shows_prompt(survey, kept):
                return None
            if monotonic() > until:
                return f"it is not at its prompt after {PATIENCE:g} s; see: {kept.where}"
            interrupts.sleep(_PAUSE)
    except (Interrupted, LauncherError) as error:
        return str(error)


def _shows_prompt(survey: Survey, kept: Kept) -> bool:
    if kept.backend is None:
        return False
    words = survey.backends[kept.backend].words(kept)
    return words is not None and _PROMPT.search(words) is not None
