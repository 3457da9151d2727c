"""The role, as its strictest reader takes it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.rollout.control import ANSIBLE

_PROGRAMS = Path(sys.executable).parent


@pytest.mark.skipif(
    not (_PROGRAMS / "ansible-lint").exists(), reason="not installed: ansible-lint (make rollout)"
)
def test_role_is_clean_at_the_strictest_profile(tmp_path: Path) -> None:
    done = subprocess.run(
        [str(_PROGRAMS / "ansible-lint"), "--offline", "--nocolor", "--profile", "production"],
        env={
            "PATH": f"{_PROGRAMS}:{os.environ['PATH']}",
            "HOME": str(tmp_path),
            "ANSIBLE_HOME": str(tmp_path),
            "LANG": "C.UTF-8",
        },
        cwd=ANSIBLE,
        text=True,
        capture_output=True,
        check=False,
    )
    assert 0 == done.returncode, done.stdout + done.stderr
