"""Draws what the documentation shows: time over size, ours and theirs, as SVG.

python -m benchmarks.plots benchmarks/results docs/plots
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.tables import documents

PLOTS = {
    "scale": ("checks", "launcher check, and as many empty tests of plain pytest"),
    "peers": ("links", "The same checks by other validators"),
    "sessions": ("sessions", "Sessions in tmux"),
}
"""What the size means, and the title."""


def lines(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[Mapping[str, Any]]]:
    """Return the rows of each contestant that was measured at two sizes at least."""
    found: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        found.setdefault(row["contestant"], []).append(row)
    return {name: every for name, every in found.items() if len(every) > 1}


def draw(document: Mapping[str, Any], path: Path) -> None:
    """Write the plot of one measurement: medians, with the range of the runs as a band."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams.update({"svg.hashsalt": "claude-failover", "svg.fonttype": "none"})
    from matplotlib import pyplot

    what, title = PLOTS[document["benchmark"]]
    figure, axes = pyplot.subplots(figsize=(7, 4), layout="constrained")
    for name, rows in lines(document["rows"]).items():
        sizes = [row["at"] for row in rows]
        (drawn,) = axes.plot(sizes, [row["median_s"] for row in rows], marker="o", label=name)
        low, high = ([row[key] for row in rows] for key in ("min_s", "max_s"))
        axes.fill_between(sizes, low, high, color=drawn.get_color(), alpha=0.15, linewidth=0)
    axes.set(xscale="log", yscale="log", xlabel=what, ylabel="wall seconds", title=title)
    axes.grid(visible=True, which="both", alpha=0.2)
    axes.legend(frameon=False)
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)


def main() -> int:
    """Draw every measurement that has sizes."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("directory", type=Path, help="with the measurements' JSON")
    parser.add_argument("plots", type=Path, help="where the drawings go")
    options = parser.parse_args()
    options.plots.mkdir(parents=True, exist_ok=True)
    for document in documents(options.directory):
        if document["benchmark"] in PLOTS and lines(document["rows"]):
            draw(document, options.plots / f"{document['benchmark']}.svg")
    return 0


if __name__ == "__main__":
    sys.exit(main())
