"""What all tests of an adoption share."""

from __future__ import annotations

import pytest

from launcher.adopt import carry


@pytest.fixture(autouse=True)
def _no_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Write nothing out: no test here is about a power cut, and a busy disk takes seconds."""
    monkeypatch.setattr(carry, "sync_file_system", lambda descriptor: None)
