"""The measurements run as they stand, on sizes so small that their figures mean nothing."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks import plots, tables
from benchmarks.side_by_side import Goal, Outcome, Run, clean_environment, in_turn, ratio, run
from tests.vm import CHECKOUT

TINY = {
    "cli": ["--runs", "1"],
    "gate": ["--runs", "1"],
    "scale": ["--runs", "1", "--accounts", "2"],
    "sessions": ["--runs", "1", "--sessions", "1"],
    "peers": ["--runs", "1", "--accounts", "1"],
    "adopt": ["--runs", "1", "--files", "200", "--megabytes", "1", "--ignore-process", "1"],
    "fleet": ["--runs", "1", "--vms", "40"],
}


def measured(name: str, directory: Path) -> dict[str, Any]:
    """Run a measurement, and return the document that it left."""
    # A cache that is nobody's: what is tested needs no peer from a registry.
    (directory / "cache").mkdir(exist_ok=True)
    (directory / "cache" / "claude-failover-bench").touch()
    done = subprocess.run(
        [sys.executable, "-m", f"benchmarks.{name}", *TINY[name], "--json", str(directory)],
        cwd=CHECKOUT,
        env={**clean_environment(directory), "XDG_CACHE_HOME": str(directory / "cache")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    document: dict[str, Any] = json.loads((directory / f"{name}.json").read_text())
    return document


@pytest.mark.parametrize(
    "name", ["cli", *(pytest.param(name, marks=pytest.mark.thorough) for name in [*TINY][1:])]
)
def test_measurement_tells_figures_and_ratios(name: str, tmp_path: Path) -> None:
    if name == "sessions" and shutil.which("tmux") is None:
        pytest.skip("tmux is not installed")
    document = measured(name, tmp_path)
    assert name == document["benchmark"]
    assert document["rows"]
    assert all(0 < row["cpu_s"] and row["peak_bytes"] > 1e6 for row in document["rows"])
    assert document["ratios"] or name == "peers"
    assert str(Path.home()) not in json.dumps(document)


@pytest.mark.thorough
def test_peer_that_is_missing_is_said_to_be(tmp_path: Path) -> None:
    missing = measured("peers", tmp_path)["missing"]
    assert any(line.startswith("pytest-testinfra: could not be installed") for line in missing)


def test_contestants_run_in_turn() -> None:
    order: list[str] = []

    def contestant(name: str) -> Run:
        order.append(name)
        return Run(1.0, 1.0, 1)

    seen = in_turn({name: lambda name=name: contestant(name) for name in "AB"}, 2)  # type: ignore[misc]
    assert "ABABAB" == "".join(order)
    assert [2, 2] == [len(runs) for runs in seen.values()]


def test_ratio_is_the_median_of_pairs() -> None:
    seen = {
        "ours": [Run(2, 1, 0), Run(40, 1, 0), Run(3, 1, 0)],
        "theirs": [Run(1, 2, 0), Run(10, 2, 0), Run(1, 2, 0)],
    }
    found = ratio(Goal("measure", "ours", "theirs", 3.5), seen)
    assert (3, [2, 4], 0.5) == (found["wall"], found["wall_range"], found["cpu"])


def test_contestant_that_fails_ends_the_measurement() -> None:
    with pytest.raises(SystemExit, match="ended with 3: said"):
        run([sys.executable, "-c", "print('said'); raise SystemExit(3)"])


def test_run_counts_what_the_process_took() -> None:
    seen = run([sys.executable, "-c", "b = bytearray(300_000_000); sum(range(1_000_000))"])
    assert seen.peak_bytes > 290_000_000
    assert 0 < seen.cpu_seconds


def test_documentation_is_made_from_the_figures(tmp_path: Path) -> None:
    """A page between whose marks stands what another run measured tells this run's afterwards."""
    outcome = Outcome("cli")
    seen = {"launcher --help": [Run(0.4, 0.3, 1)], "python -c pass": [Run(0.1, 0.1, 1)]}
    outcome.add(seen, [Goal("`--help`", "launcher --help", "python -c pass", 4.5)])
    outcome.missing.append("serverspec: not installed")
    outcome.tell(tmp_path)
    page = tmp_path / "speed.md"
    page.write_text(f"before\n{tables.BEGIN}\nold\n{tables.END}\nafter\n")
    assert 0 == tables.main([str(tmp_path), "--page", str(page)])
    text = page.read_text()
    assert "| `--help` | 4.5 | 4.00 | 3.00 |" in text
    assert "serverspec: not installed" in text
    assert "old" not in text
    assert text.startswith("before\n")
    assert text.endswith("after\n")


def test_plot_needs_two_sizes() -> None:
    rows = [
        {"contestant": "a", "at": 1},
        {"contestant": "a", "at": 2},
        {"contestant": "b", "at": 1},
    ]
    assert {"a": [rows[0], rows[1]]} == plots.lines(rows)
