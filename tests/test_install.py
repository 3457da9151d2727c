"""The wheel: what it installs, and that it works far from the checkout, read-only too."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from launcher.formats import FORMATS
from tests.vm import CHECKOUT, UNPRIVILEGED, Vm

pytestmark = pytest.mark.thorough  # the wheel is built and installed


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Install the wheel with its dependencies into a new environment; make that read-only."""
    root = tmp_path_factory.mktemp("installed")
    wheels = [sys.executable, "-m", "build", "--wheel", "--outdir", str(root), str(CHECKOUT)]
    subprocess.run(wheels, check=True, stdout=subprocess.DEVNULL)
    (wheel,) = root.glob("*.whl")
    subprocess.run([sys.executable, "-m", "venv", root / "venv"], check=True)
    pip = [
        str(root / "venv/bin/python"),
        "-m",
        "pip",
        "install",
        "-q",
        "--disable-pip-version-check",
    ]
    subprocess.run([*pip, str(wheel)], check=True)
    (packages,) = (root / "venv").glob("lib/python*/site-packages")
    subprocess.run(["chmod", "-R", "a-w", packages], check=True)
    yield packages
    subprocess.run(["chmod", "-R", "u+w", packages], check=True)


def run(vm: Vm, site: Path, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a program of the environment without the power to write into it."""
    command = [*UNPRIVILEGED, str(site.parents[2] / "bin" / program), *arguments]
    return subprocess.run(
        command, env=vm.environ, cwd=vm.root, text=True, capture_output=True, check=False
    )


def test_wheel_installs_two_packages_and_the_command(site: Path) -> None:
    (info,) = site.glob("claude_failover-*.dist-info")
    files = [line.split(",")[0] for line in (info / "RECORD").read_text().splitlines()]
    inside = {Path(file).parts[0] for file in files if not file.startswith("..")}
    ours = {"invariants", "launcher", "claude_failover.py", "__pycache__", info.name}
    assert ours == inside
    assert ["../../../bin/launcher"] == [file for file in files if file.startswith("..")]


def test_templates_of_the_units_are_in_the_wheel(vm: Vm, site: Path) -> None:
    checkout = {path.name: path.read_text() for path in (CHECKOUT / "deploy/systemd").iterdir()}
    installed = {path.name: path.read_text() for path in (site / "launcher/systemd").iterdir()}
    assert checkout == installed
    plan = run(
        vm, site, "launcher", "--inventory", str(vm.inventory), "install", "--user", "--dry-run"
    )
    assert (0, "") == (plan.returncode, plan.stderr)
    assert "would write " in plan.stdout


def test_page_listener_and_schema_are_in_the_wheel(vm: Vm, site: Path) -> None:
    option = ["--inventory", str(vm.inventory)]
    page = run(vm, site, "launcher", *option, "status", "--html", str(vm.root / "page.html"))
    assert (70, "") == (page.returncode, page.stderr)
    assert "<h1>" in (vm.root / "page.html").read_text()
    fleet = run(vm, site, "launcher", "fleet", "nowhere", "--html", str(vm.root / "fleet.html"))
    assert (70, "") == (fleet.returncode, fleet.stderr)
    assert "no report: there is no such file" in (vm.root / "fleet.html").read_text()
    schema = run(vm, site, "launcher", "status", "--schema")
    assert (CHECKOUT / "launcher/report.schema.json").read_text() == schema.stdout
    for name in FORMATS:
        told = run(vm, site, "launcher", *option, "status", "--format", name)
        assert (3 if name == "nagios" else 70, "") == (told.returncode, told.stderr)
    assert (site / "launcher" / "listen" / "server.py").is_file()


def test_gate_works_from_an_installed_read_only_wheel(vm: Vm, site: Path) -> None:
    before = sorted(site.rglob("*"))
    option = ["--inventory", str(vm.inventory)]
    green = run(vm, site, "launcher", *option, "check")
    assert (0, "") == (green.returncode, green.stderr)
    vm.diverge()
    red = run(vm, site, "launcher", *option, "check")
    assert (1, "") == (red.returncode, red.stderr)
    assert "backup projects: divergent" in red.stdout
    assert str(site) == str(vm.root_of_report)
    assert before == sorted(site.rglob("*"))


def test_sessions_are_started_from_an_installed_wheel(vm: Vm, site: Path) -> None:
    vm.write({"api": ["sleep", "600"]})
    up = run(vm, site, "launcher", "--inventory", str(vm.inventory), "up")
    assert 0 == up.returncode
    assert 1 == len(vm.processes())


def test_invariants_run_by_hand_from_an_installed_wheel(vm: Vm, site: Path) -> None:
    by_hand = ["-p", "invariants.plugin", "-p", "no:cacheprovider", "--pyargs", "invariants", "-q"]
    option = ["--inventory", str(vm.inventory)]
    assert "21 passed" in run(vm, site, "pytest", *by_hand, *option).stdout
    vm.diverge()
    assert "1 failed, 20 passed" in run(vm, site, "pytest", *by_hand, *option).stdout
