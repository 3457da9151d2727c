"""Which transcripts a start of the CLI deletes, behind the links too."""

from __future__ import annotations

import json
import os
import threading
import time
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

import pytest

from tests.adopt.world import unseen
from tests.claude.cli import CALM, Cli
from tests.claude.known import Known
from tests.claude.stub import Reply, Text
from tests.vm import wait_until

_DAY = 86400


def transcript(claude: Cli, days: int) -> Path:
    """Make a transcript of another project, so many days old."""
    path = claude.vm.target("projects") / "-another" / f"{uuid4()}.jsonl"
    path.parent.mkdir(exist_ok=True)
    path.write_text('{"type":"user"}\n')
    os.utime(path, (time.time() - days * _DAY,) * 2)
    return path


def left(claude: Cli, path: Path, seconds: float) -> bool:
    """Let ``-p`` wait for an answer until *path* is gone, *seconds* at most; return if it is not.

    The sweep comes seconds after a start, so it needs one that lives longer.
    """
    hold = threading.Event()
    claude.stub.script(Reply([Text("a slow answer")], hold))
    with claude.start("primary", "hello") as process:
        claude.stub.wait_for(lambda seen: seen.is_turn)
        with suppress(AssertionError):
            wait_until(lambda: not path.exists(), "it is deleted", seconds)
        hold.set()
        process.communicate(timeout=CALM)
    return path.exists()


def test_transcripts_of_other_projects_go_once_they_are_a_month_old(
    claude: Cli, known: Known
) -> None:
    young, old = transcript(claude, 20), transcript(claude, 40)
    known.hold("`-p` deletes transcripts older than 30 days", not left(claude, old, CALM))
    assert young.exists()


def test_transcript_that_was_adopted_is_as_young_as_it_was_in_either_place(claude: Cli) -> None:
    """A restored backup in the target is older than the same file in the home."""
    old, gone = transcript(claude, 40), transcript(claude, 40)
    entry = claude.vm.entry("primary", "projects")
    entry.unlink()
    (entry / old.parent.name).mkdir(mode=0o700, parents=True)
    entry.chmod(0o700)
    (entry / old.parent.name / old.name).write_bytes(old.read_bytes())
    adopted = claude.vm.run("adopt", "primary", "projects", *unseen())
    assert 0 == adopted.returncode, adopted.stdout + adopted.stderr
    assert not left(claude, gone, CALM)
    assert old.exists()


@pytest.mark.versions("2.0.76")
def test_zero_days_mean_every_transcript(claude: Cli) -> None:
    (claude.vm.home("primary") / "settings.json").write_text(json.dumps({"cleanupPeriodDays": 0}))
    young = transcript(claude, 0)
    assert not left(claude, young, CALM)
