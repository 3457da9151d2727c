"""Signals that are noted, and raised only where nothing is half done."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic

import pytest

from launcher.errors import Interrupted
from launcher.interrupts import Interrupts

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def alarm(seconds: float, number: signal.Signals) -> Iterator[None]:
    """Send this process a signal after some time."""
    before = signal.signal(signal.SIGALRM, lambda *_: os.kill(os.getpid(), number))
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize("number", SIGNALS)
def test_signal_is_noted_until_it_is_asked_for(number: signal.Signals) -> None:
    with Interrupts() as interrupts:
        interrupts.check()
        os.kill(os.getpid(), number)
        with pytest.raises(Interrupted, match=f"interrupted by {number.name}") as raised:
            interrupts.check()
    assert number == raised.value.signal_number


def test_first_signal_is_the_one_that_counts() -> None:
    with Interrupts() as interrupts:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            os.kill(os.getpid(), number)
        with pytest.raises(Interrupted, match="SIGTERM"):
            interrupts.check()


def test_ignored_signal_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with Interrupts() as interrupts:
            os.kill(os.getpid(), signal.SIGHUP)
            interrupts.check()
            assert signal.SIG_IGN is signal.getsignal(signal.SIGHUP)
        assert signal.SIG_IGN is signal.getsignal(signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)


def test_without_signals_it_can_be_entered_in_any_thread() -> None:
    outcome: list[object] = []

    def wait() -> None:
        with Interrupts(signals=()) as interrupts:
            outcome.append(interrupts.poll([], 0.01))

    thread = threading.Thread(target=wait)
    thread.start()
    thread.join()
    assert [[]] == outcome


def test_handlers_and_descriptors_are_as_before() -> None:
    handlers = [signal.getsignal(number) for number in SIGNALS]
    descriptors = os.listdir("/proc/self/fd")
    with Interrupts():
        assert handlers != [signal.getsignal(number) for number in SIGNALS]
        os.kill(os.getpid(), signal.SIGTERM)
    assert handlers == [signal.getsignal(number) for number in SIGNALS]
    assert descriptors == os.listdir("/proc/self/fd")


def test_sleep_lasts_as_long_as_it_is_told() -> None:
    with Interrupts() as interrupts:
        before = monotonic()
        interrupts.sleep(0.2)
        assert 0.2 <= monotonic() - before < 2


def test_sleep_ends_early_with_a_signal() -> None:
    before = monotonic()
    raised = pytest.raises(Interrupted, match="SIGTERM")
    with Interrupts() as interrupts, alarm(0.1, signal.SIGTERM), raised:
        interrupts.sleep(20)
    assert monotonic() - before < 5


def test_sleep_is_not_cut_short_by_another_signal() -> None:
    before = monotonic()
    with Interrupts() as interrupts, alarm(0.05, signal.SIGCONT):
        interrupts.sleep(0.3)
    assert 0.3 <= monotonic() - before


def test_wait_that_starts_behind_a_signal_ends_at_once() -> None:
    reader, writer = os.pipe()
    try:
        with Interrupts() as interrupts:
            os.kill(os.getpid(), signal.SIGINT)
            before = monotonic()
            with pytest.raises(Interrupted, match="SIGINT"):
                interrupts.poll([reader], 20)
            assert monotonic() - before < 5
    finally:
        os.close(reader)
        os.close(writer)


def test_wait_ends_early_with_a_signal() -> None:
    before = monotonic()
    raised = pytest.raises(Interrupted, match="SIGHUP")
    with Interrupts() as interrupts, alarm(0.1, signal.SIGHUP), raised:
        interrupts.poll([], 20)
    assert monotonic() - before < 5


def test_poll_returns_what_can_be_read() -> None:
    reader, writer = os.pipe()
    other, unused = os.pipe()
    try:
        with Interrupts() as interrupts:
            assert [] == interrupts.poll([reader, other], 0)
            assert [] == interrupts.poll([reader, other], -1)
            os.write(writer, b"x")
            assert [reader] == interrupts.poll([reader, other], 20)
    finally:
        for descriptor in (reader, writer, other, unused):
            os.close(descriptor)
