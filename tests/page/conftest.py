"""Fixtures of the page's tests: all pages are looked at in one browser, once."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.formats.conftest import documents
from tests.formats.told import Told
from tests.page.install import browser, modules, what_is_missing
from tests.page.pages import FLEETS, KINDS, drawn, drawn_fleet
from tests.vm import Vm

__all__ = ["documents"]

SIZES = {"desktop": (1100, 800), "phone": (360, 740)}
VIEWS = [
    (kind, scheme, size)
    for kind in (*KINDS, *FLEETS)
    for scheme in ("light", "dark")
    for size in SIZES
]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--pictures``: where the pictures of the pages go, for a person to look at."""
    parser.addoption("--pictures", metavar="DIR", help="keep a picture of each page in DIR")


@pytest.fixture(scope="session")
def views(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    documents: Mapping[str, dict[str, Any]],
) -> dict[str, Any]:
    """Return what a browser saw of every page, in both schemes and sizes, by its name."""
    if reason := what_is_missing():
        pytest.skip(reason)
    root = tmp_path_factory.mktemp("page")
    pictures = Path(request.config.getoption("pictures") or root).resolve()
    pictures.mkdir(parents=True, exist_ok=True)
    jobs = []
    for kind in KINDS:
        place = root / f"vm-{kind}"
        place.mkdir(mode=0o700)
        vm = Vm(place)
        vm.write({"api": ["sleep", "600"]})
        (root / f"{kind}.html").write_text(drawn(Told(vm, documents), kind))
    for kind in FLEETS:
        (root / f"{kind}.html").write_text(drawn_fleet(kind), errors="backslashreplace")
    for kind, scheme, size in VIEWS:
        name = f"{kind}-{scheme}-{size}"
        width, height = SIZES[size]
        job = {"name": name, "file": str(root / f"{kind}.html"), "scheme": scheme}
        job |= {"picture": str(pictures / f"{name}.png")}
        jobs.append({**job, "width": width, "height": height})
    (root / "jobs.json").write_text(json.dumps(jobs))
    script = str(Path(__file__).with_name("look.cjs"))
    command = ["node", script, str(browser()), str(modules()), str(root / "jobs.json")]
    seen: dict[str, Any] = json.loads(subprocess.check_output(command, timeout=600))
    return seen
