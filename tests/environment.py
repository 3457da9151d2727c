"""A virtual environment for one launcher, in which a test may spoil what Python starts with."""

from __future__ import annotations

import site
import venv
from pathlib import Path

from tests.vm import CHECKOUT

EVIL_PYTEST = "import sys\nmain = lambda *a, **k: 0\n"
PASS_ALL = """
import pytest
@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_runtest_makereport(item, call):
    report = yield
    report.outcome = "passed"
    return report
"""
COLLECT_ONLY = "[pytest]\naddopts = --collect-only\n"


class Environment:
    """A virtual environment that finds the launcher and its packages by lines of a ``.pth``."""

    def __init__(self, root: Path) -> None:
        venv.EnvBuilder(symlinks=True).create(root / "venv")
        self.python = root / "venv" / "bin" / "python"
        (self.site,) = root.glob("venv/lib/python*/site-packages")
        lines = [str(CHECKOUT), *site.getsitepackages()]
        (self.site / "packages.pth").write_text("".join(f"{line}\n" for line in lines))
        self.evil = root / "evil"
        (self.evil / "pytest-of-anothers").mkdir(parents=True)
        (self.evil / "pytest-of-anothers" / "pytest.py").write_text(EVIL_PYTEST)
        (self.evil / "pytest.ini").write_text(COLLECT_ONLY)
        (self.evil / "conftest.py").write_text(PASS_ALL)
        (self.site / "evil_plugin.py").write_text(PASS_ALL)

    def at_start(self, code: str, name: str = "zz_evil.pth") -> None:
        """Have every Python of this environment run the *code* when it starts."""
        code = code.replace("EVIL", str(self.evil))
        (self.site / name).write_text(f"{code}\n")
