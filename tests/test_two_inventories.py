"""Two users' inventories on one machine: node_exporter shows both, the rules name the red one."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families as parsed

from tests.healthy.world import UID, World
from tests.vm import CHECKOUT, wait_until

EXPORTER = shutil.which("prometheus-node-exporter") or shutil.which("node_exporter")
RULES = CHECKOUT / "deploy" / "prometheus" / "claude-failover.rules.yml"
Scrape = dict[str, dict[tuple[tuple[str, str], ...], float]]
pytestmark = [
    pytest.mark.skipif(EXPORTER is None, reason="needs node_exporter (prometheus-node-exporter)"),
    pytest.mark.skipif(shutil.which("promtool") is None, reason="needs promtool (prometheus)"),
]


@pytest.fixture
def place() -> Iterator[Path]:
    """Return a directory for textfiles in which everyone can write."""
    made = Path(tempfile.mkdtemp(prefix="textfiles-", dir="/tmp"))
    made.chmod(0o1777)
    yield made
    shutil.rmtree(made)


@pytest.fixture
def users(place: Path) -> Iterator[list[World]]:
    """Return the VMs of two users, each with a metrics file of its own: a green and a red one."""
    made: list[World] = []
    try:
        for number, name in enumerate(("alice", "bob")):
            world = World()
            made.append(world)
            world.write(prometheus=str(place / f"{name}.prom"))
            if name == "bob":
                world.vm.diverge()
            world.enter(uid=UID + number, name=name)
        yield made
    finally:
        for world in made:
            world.close()


@pytest.fixture
def exporter(place: Path, tmp_path: Path) -> Iterator[str]:
    """Return the address of a node_exporter that reads the textfiles."""
    log = tmp_path / "log"
    collectors = ["--collector.disable-defaults", "--collector.textfile"]
    command = [str(EXPORTER), *collectors, f"--collector.textfile.directory={place}"]
    with (
        log.open("wb") as output,
        subprocess.Popen(
            [*command, "--web.listen-address=127.0.0.1:0"], stdout=output, stderr=output
        ) as process,
    ):
        try:
            listens = re.compile(r"Listening on.*address=(127\.0\.0\.1:\d+)")
            wait_until(lambda: listens.search(log.read_text()), "node_exporter listens", 60)
            match = listens.search(log.read_text())
            assert match is not None
            yield match[1]
        finally:
            process.kill()


def scrape(address: str) -> Scrape:
    """Return the values of our series, by name and labels."""
    with urllib.request.urlopen(f"http://{address}/metrics", timeout=60) as answer:
        text = answer.read().decode()
    assert "\nnode_textfile_scrape_error 0\n" in text
    return {
        family.name: {tuple(sorted(one.labels.items())): one.value for one in family.samples}
        for family in parsed(text)
        if family.name.startswith("claude_failover_")
    }


def verdicts(seen: Scrape) -> dict[str, str]:
    """Return which verdict the series say of each inventory."""
    found = {}
    for labels, value in seen["claude_failover_verdict"].items():
        if value == 1:
            found[dict(labels)["inventory"]] = dict(labels)["verdict"]
    return found


def alert(tmp_path: Path, seen: Scrape, *expected: str) -> None:
    """Let promtool find ClaudeFailoverRed to fire for exactly the *expected* inventories."""
    lines = [f"rule_files: [{RULES}]", "evaluation_interval: 1m", "tests:", "- interval: 1m"]
    lines += ["  input_series:"]
    for name, series in seen.items():
        for labels, value in series.items():
            inside = ",".join(f'{key}="{text}"' for key, text in labels)
            name_and_labels = f'{name}{{instance="vm-1",job="node",{inside}}}'
            lines.append(f"  - {{series: '{name_and_labels}', values: '{value:.0f}x20'}}")
    lines += ["  alert_rule_test:", "  - alertname: ClaudeFailoverRed", "    eval_time: 10m"]
    lines += ["    exp_alerts:"] if expected else []
    for inventory in expected:
        told = "not every account shares its state; nothing is started there"
        label = f"severity: critical, instance: vm-1, job: node, inventory: {inventory}"
        lines += [f"    - exp_labels: {{{label}, verdict: red}}", "      exp_annotations:"]
        lines += [f'        summary: "vm-1 ({inventory}): {told}"']
        lines += ['        do: "launcher check, on that VM: it names all that fails, ']
        lines[-1] += 'each with its fix"'
    file = tmp_path / "case.yml"
    file.write_text("\n".join([*lines, ""]))
    command = ["promtool", "test", "rules", str(file)]
    done = subprocess.run(command, text=True, capture_output=True, check=False)
    assert 0 == done.returncode, done.stdout + done.stderr


def test_red_inventory_beside_a_green_one_is_seen_and_alerts(
    users: list[World], exporter: str, place: Path, tmp_path: Path
) -> None:
    alice, bob = (world.vm for world in users)
    assert [0, 1] == [vm.run("check").returncode for vm in (alice, bob)]
    owners = {file.name: file.stat().st_uid for file in place.iterdir()}
    assert {"alice.prom": UID, "bob.prom": UID + 1} == owners
    seen = scrape(exporter)
    assert {str(alice.inventory): "green", str(bob.inventory): "red"} == verdicts(seen)
    for name, series in seen.items():
        files = [file.read_text() for file in place.iterdir()]
        told = sum(len(re.findall(rf"^{name}\{{", text, re.MULTILINE)) for text in files)
        assert told == len(series), f"node_exporter dropped a series of {name}"
    alert(tmp_path, seen, str(bob.inventory))


@pytest.mark.thorough
def test_second_users_red_does_not_replace_the_first_ones_green_at_one_path(
    users: list[World], exporter: str, place: Path, tmp_path: Path
) -> None:
    alice, bob = (world.vm for world in users)
    text = bob.inventory.read_text()
    bob.inventory.write_text(text.replace("bob.prom", "alice.prom"))
    for _ in range(2):
        assert 0 == alice.run("check").returncode
        done = bob.run("check")
        why = f"it belongs to uid {UID}: name another file in launcher.prometheus"
        told = f"launcher: the metrics cannot be written: {place}/alice.prom: {why}\n"
        assert (1, told) == (done.returncode, done.stderr)
        assert {str(alice.inventory): "green"} == verdicts(scrape(exporter))
    bob.inventory.write_text(text)
    assert 1 == bob.run("check").returncode
    alert(tmp_path, scrape(exporter), str(bob.inventory))
