"""A fixed sample of ``tests/adopt/faults.py``, which ``make faults`` tries as a whole."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.adopt.faults import preloaded
from tests.vm import CHECKOUT


@pytest.mark.skipif(shutil.which("gcc") is None, reason="the faults need a C compiler")
@pytest.mark.parametrize("every", [97, pytest.param(13, marks=pytest.mark.thorough)])
@pytest.mark.thorough
def test_sample_of_all_faults(tmp_path: Path, every: int) -> None:
    command = [sys.executable, "-m", "tests.adopt.faults", "--every", str(every)]
    result = subprocess.run(
        command, env=preloaded(tmp_path), cwd=CHECKOUT, capture_output=True, text=True, check=False
    )
    assert 0 == result.returncode, result.stderr
    assert "nothing lost" in result.stdout
