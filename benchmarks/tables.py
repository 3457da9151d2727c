"""Writes the tables of ``docs/speed.md`` from the figures that the measurements left as JSON.

python -m benchmarks.tables benchmarks/results
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

ORDER = ("gate", "peers", "scale", "cli", "sessions", "adopt", "fleet")
BEGIN = "<!-- written by `make bench-docs`: from here -->"
END = "<!-- written by `make bench-docs`: to here -->"
_PAGE = Path(__file__).resolve().parents[1] / "docs" / "speed.md"


def documents(directory: Path) -> Iterator[dict[str, Any]]:
    """Yield what each measurement left in *directory*, in the order of the page."""
    for name in ORDER:
        path = directory / f"{name}.json"
        if path.is_file():
            yield json.loads(path.read_text())


def lines(found: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield the page's lines: the ratios with their goals, then what each contestant took."""
    yield "| measure | goal | wall | CPU | range (wall) | pairs |"
    yield "|---|---|---|---|---|---|"
    for document in found:
        yield from map(_ratio, document["ratios"])
    for document in found:
        sized = [row for row in document["rows"] if "bytes_per_check" in row]
        largest = max((row["at"] for row in sized), default=0)
        yield from (_memory(row) for row in sized if row["at"] == largest)
    for document in found:
        yield from (f"| not measured: {reason} | | | | | |" for reason in document["missing"])
    for document in found:
        yield ""
        yield f"### `benchmarks/{document['benchmark']}.py`"
        yield ""
        yield (
            f"Python {document['python']}, {document['cores']} cores,"
            f" load {document['load']} at the end."
        )
        yield ""
        yield "| at | contestant | median | range | CPU | peak | runs |"
        yield "|---|---|---|---|---|---|---|"
        yield from map(_row, document["rows"])


def _ratio(found: Mapping[str, Any]) -> str:
    at = f", {found['at']}" if "at" in found else ""
    goal = "" if found["limit"] is None else f"{found['limit']:g}"
    low, high = found["wall_range"]
    return (
        f"| {found['measure']}{at} | {goal} | {found['wall']:.2f} | {found['cpu']:.2f}"
        f" | {low:.2f} – {high:.2f} | {found['n']} |"
    )


def _memory(row: Mapping[str, Any]) -> str:
    size = f"{row['bytes_per_check'] / 1000:.1f} KB"
    return f"| peak memory per check, {row['contestant']}, {row['at']} | 8 KB | {size} | | | |"


def _row(row: Mapping[str, Any]) -> str:
    return (
        f"| {row.get('at', '')} | {row['contestant']} | {row['median_s']:.3f} s"
        f" | {row['min_s']:.3f} – {row['max_s']:.3f} | {row['cpu_s']:.3f} s"
        f" | {row['peak_bytes'] / 1e6:.0f} MB | {row['n']} |"
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Replace what stands between the marks of the page."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("directory", type=Path, help="with the measurements' JSON")
    parser.add_argument("--page", type=Path, default=_PAGE)
    options = parser.parse_args(argv)
    before, _, rest = options.page.read_text().partition(f"{BEGIN}\n")
    _, _, after = rest.partition(f"{END}\n")
    text = "".join(f"{line}\n" for line in lines(list(documents(options.directory))))
    options.page.write_text(f"{before}{BEGIN}\n{text}{END}\n{after}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
