"""Prometheus' text format, by its own client library; nothing of this process is in it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.registry import Collector

from launcher.formats import Shown
from launcher.formats.words import plain, split
from launcher.reading import UNKNOWN, Reading, matrix_of
from launcher.sessions import SessionState
from launcher.verdict import Colour

if TYPE_CHECKING:
    from launcher.fleet import Fleet

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4
"""What is sent over HTTP is called."""

INVENTORY = "inventory"
"""The label that every metric of a VM has: the inventory's path."""

_PREFIX = "claude_failover_"


def show(reading: Reading) -> Shown:
    """Return the metrics of a reading; what it does not know has no sample.

    Each has the label ``inventory``: of two files with the same series, node_exporter drops those
    of the second one, and tells only its log.
    """
    labelled = _Labelled(_Families(reading), {INVENTORY: plain(reading.inventory_path)})
    return Shown(_text(labelled), reading.code)


def show_fleet(fleet: Fleet) -> Shown:
    """Return the metrics of many VMs, under names of their own: a VM may tell its own as well."""
    return Shown(_text(_OfFleet(fleet)), fleet.standing.code)


def _text(collector: Collector) -> str:
    registry = CollectorRegistry(auto_describe=False)
    registry.register(collector)
    return generate_latest(registry).decode()


class _Labelled(Collector):
    """Another collector's families, each sample with constant labels before its own."""

    def __init__(self, collector: Collector, labels: Mapping[str, str]) -> None:
        self._collector = collector
        self._labels = labels

    def collect(self) -> Iterator[Metric]:
        for family in self._collector.collect():
            family.samples = [
                one._replace(labels={**self._labels, **one.labels}) for one in family.samples
            ]
            yield family


class _Families(Collector):
    def __init__(self, reading: Reading) -> None:
        self._reading = reading

    def collect(self) -> Iterator[Metric]:
        yield self._verdict()
        yield from self._run()
        if self._reading.problem is None:
            yield from self._counts()
            yield self._invariants()
            yield from self._matrix()
            yield self._sessions()
            yield from self._warnings()

    def _verdict(self) -> Metric:
        text = "1 for the verdict that counts now. A report that does not count is unknown."
        family = _gauge("verdict", text, "verdict")
        for colour in Colour:
            family.add_metric([colour.value], float(colour is self._reading.verdict))
        return family

    def _run(self) -> Iterator[Metric]:
        started, finished = self._reading.started, self._reading.finished
        if started is None or finished is None:
            return
        text = "Unix time when the last gate finished. Alert on its age: a file never looks old."
        yield _gauge("last_run_timestamp_seconds", text, value=finished)
        if (until := self._reading.counts_until) is not None:
            text = "Unix time until which the verdict counts. Alert when it is over: nobody looks."
            yield _gauge("counts_until_timestamp_seconds", text, value=until)
        text = "Duration of the last gate, in seconds."
        yield _gauge("gate_duration_seconds", text, value=finished - started)

    def _counts(self) -> Iterator[Metric]:
        reading = self._reading
        text = "Number of checks that the inventory calls for."
        yield _gauge("checks_expected", text, value=reading.expected)
        yield _gauge("checks_passed", "Number of checks that passed.", value=reading.passed)
        text = "Number of checks that did not pass."
        yield _gauge("checks_failed", text, value=len(reading.failures))

    def _invariants(self) -> Metric:
        text = "Number of checks of an invariant that did not pass."
        family = _gauge("invariant_failures", text, "invariant")
        failing = Counter(plain(one.finding.invariant) for one in self._reading.failures)
        told = {split(nodeid)[0]: 0 for nodeid in self._reading.outcomes}
        for invariant, count in {**told, **failing}.items():
            family.add_metric([invariant], float(count))
        return family

    def _matrix(self) -> Iterator[Metric]:
        matrix = matrix_of(self._reading)
        homes = _gauge("home_usable", "1 if an account's home is usable, else 0.", "account")
        targets = _gauge("target_usable", "1 if a link's target is usable, else 0.", "link")
        text = "1 if an account reaches a link's target by a usable home and link, else 0."
        links = _gauge("link_shared", text, "account", "link")
        for account, state in matrix.homes.items():
            if state != UNKNOWN:
                homes.add_metric([account], float(state is None))
        for link, state in matrix.targets.items():
            if state != UNKNOWN:
                targets.add_metric([link], float(state is None))
        for account, row in matrix.entries.items():
            for link in row:
                reached = matrix.reached(account, link)
                if reached is not None:
                    links.add_metric([account, link], float(reached))
        yield from (homes, targets, links)

    def _sessions(self) -> Metric:
        family = _gauge(
            "session_state", "1 for the state that a session is in.", "session", "account", "state"
        )
        for session in self._reading.sessions:
            for state in SessionState:
                labels = [plain(session.name), plain(session.account), state.value]
                family.add_metric(labels, float(state is session.state))
        return family

    def _warnings(self) -> Iterator[Metric]:
        text = "Number of warnings. They do not change the verdict."
        yield _gauge("warnings", text, value=len(self._reading.warnings))
        text = "Number of warnings by invariant and place. An empty label names nothing."
        family = _gauge("warning", text, "invariant", "account", "link", "session")
        places = Counter(
            tuple(plain(name or "") for name in (one.invariant, one.account, one.link, one.session))
            for one in self._reading.warnings
        )
        for place, count in places.items():
            family.add_metric(list(place), float(count))
        yield family


class _OfFleet(Collector):
    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet

    def collect(self) -> Iterator[Metric]:
        fleet = self._fleet
        text = "Unix time when the reports were read. Alert on its age: a file never looks old."
        yield _gauge("fleet_read_timestamp_seconds", text, value=fleet.at)
        text = "Number of VMs by state. not_up means green with a session down."
        vms = _gauge("fleet_vms", text, "standing")
        for standing, count in fleet.counts.items():
            vms.add_metric([standing.key], float(count))
        yield vms
        yield self._verdicts()
        yield from self._numbers()
        text = "Number of VMs on which an invariant does not hold."
        failing = _gauge("fleet_invariant_vms_failing", text, "invariant")
        counts = Counter(name for vm in fleet.vms for name in vm.failing)
        for name in fleet.invariants:
            failing.add_metric([name], float(counts[name]))
        yield failing

    def _verdicts(self) -> Metric:
        text = "1 for the verdict of a VM that counts now. A VM without a report is unknown."
        family = _gauge("fleet_vm_verdict", text, "vm", "verdict")
        for vm in self._fleet.vms:
            for colour in Colour:
                family.add_metric([vm.name, colour.value], float(colour is vm.reading.verdict))
        return family

    def _numbers(self) -> Iterator[Metric]:
        text = "Unix time when the last gate of a VM finished."
        finished = _gauge("fleet_vm_last_run_timestamp_seconds", text, "vm")
        failed = _gauge(
            "fleet_vm_checks_failed", "Number of checks that did not pass on a VM.", "vm"
        )
        text = "Number of sessions of a VM that should run and do not."
        sessions = _gauge("fleet_vm_sessions_failed", text, "vm")
        warned = _gauge("fleet_vm_warnings", "Number of warnings of a VM.", "vm")
        for vm in self._fleet.vms:
            reading = vm.reading
            if reading.finished is not None:
                finished.add_metric([vm.name], reading.finished)
            if reading.problem is None:
                failed.add_metric([vm.name], float(len(reading.failures)))
                sessions.add_metric([vm.name], float(len(reading.failed_sessions)))
                warned.add_metric([vm.name], float(len(reading.warnings)))
        yield from (finished, failed, sessions, warned)


def _gauge(name: str, text: str, *labels: str, value: float | None = None) -> GaugeMetricFamily:
    return GaugeMetricFamily(_PREFIX + name, text, value, labels or None)
