"""Signals become bytes, and handlers come back."""

from __future__ import annotations

import os
import signal

from shm_exchange.runtime.pidfd import readable
from shm_exchange.runtime.signals import SignalPipe


def test_a_signal_makes_the_pipe_readable() -> None:
    before = signal.getsignal(signal.SIGUSR1)
    with SignalPipe(signal.SIGUSR1, signal.SIGUSR2) as signals:
        assert readable((signals.fileno(),), 0) == set()
        assert signals.taken() == set()
        for number in (signal.SIGUSR1, signal.SIGUSR2, signal.SIGUSR1):
            os.kill(os.getpid(), number)
        assert readable((signals.fileno(),), 10) == {signals.fileno()}
        assert signals.taken() == {signal.SIGUSR1, signal.SIGUSR2}
        assert signals.taken() == set()
        assert signals.seen == {signal.SIGUSR1, signal.SIGUSR2}
    assert signal.getsignal(signal.SIGUSR1) is before
    signals.close()


def test_a_flood_of_signals_is_one_piece_of_news() -> None:
    with SignalPipe(signal.SIGUSR1) as signals:
        for _ in range(100_000):
            signal.raise_signal(signal.SIGUSR1)
        while readable((signals.fileno(),), 0):
            assert signals.taken() == {signal.SIGUSR1}
