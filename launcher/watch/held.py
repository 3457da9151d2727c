"""A gate that is stopped once its tests are collected, and goes on when something has changed.

Collecting looks at nothing but the inventory, and at which programs there are: that is done
beforehand, and done again where it would come out another way by now. No home, link or target is
looked at before the word.
"""

from __future__ import annotations

import os
import time
from typing import Any

from invariants.checks import expected_checks
from invariants.declared import counted
from invariants.plugin import INVENTORY, VM
from launcher.child import word_to_go_on

OTHERWISE = 75
"""The exit status of a child that has collected what is not called for any more."""


PARTS = "parts"
"""The key of the document under which it says what it has judged, for the watch alone."""


class Held:
    """A plugin of pytest's that waits on *word*, a descriptor, before the first test.

    It adds to the document what of each input counted for this run: the digests of the parts
    that are declared (:mod:`invariants.declared`).
    """

    def __init__(self, word: int) -> None:
        self._word = word
        self._begun = 0.0
        self._collected: list[str] = []
        self._stash: Any = {}

    def pytest_sessionstart(self, session: Any) -> None:
        """Note what is called for as the collection begins."""
        self._collected = _called_for(session)

    def pytest_runtestloop(self, session: Any) -> None:
        """Wait for the word; end where it does not come, or is about other checks by now."""
        self._stash = session.config.stash
        _ = [item.location for item in session.items]  # looked up once, in the tests' own files
        if word_to_go_on(self._word) is None:
            os._exit(0)
        self._begun = time.time()
        if _called_for(session) != self._collected:
            os._exit(OTHERWISE)

    def pytest_json_modifyreport(self, json_report: dict[str, Any]) -> None:
        """Count the run from the word on, and say what was judged."""
        if VM in self._stash:
            parts = counted(self._stash[INVENTORY], os.environ, self._stash[VM])
            json_report[PARTS] = parts
        json_report["duration"] = time.time() - self._begun


def _called_for(session: Any) -> list[str]:
    return list(expected_checks(session.config.stash[INVENTORY], os.environ))
