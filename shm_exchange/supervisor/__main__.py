"""`python -m shm_exchange.supervisor`: the child process behind `Exchange.start`.

Its caller writes the configuration as one JSON line on our standard input and reads one JSON line of answer: ready, or an error. Requests follow the
same way (verify, spawned, stop). The end of the caller is seen twice, at the pipe and by pidfd, because a forked child of the caller may hold the
pipe open. Whatever ends us but SIGKILL, the matcher ends and the files go; after a SIGKILL the kernel ends the matcher, and the files can be reaped.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
from typing import Any

from shm_exchange.domain.errors import ExchangeError
from shm_exchange.domain.packing import unpacked_config
from shm_exchange.runtime.channel import Channel
from shm_exchange.runtime.logs import log_as_told
from shm_exchange.runtime.pidfd import open_pidfd
from shm_exchange.runtime.signals import SignalPipe
from shm_exchange.supervisor.serve import serve_caller, supervisor_signals
from shm_exchange.supervisor.supervisor import Supervisor
from shm_exchange.supervisor.wire import packed_error, unpacked_journal

_CALLER_GONE = 3


def main() -> int:
    """0 after a stop; 1 when nothing could be started, which the caller was told."""
    log_as_told("supervisor", otherwise=logging.StreamHandler())  # on standard error, which is the caller's
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal's Ctrl-C belongs to the foreground process
    with supervisor_signals() as signals:
        channel = Channel(sys.stdin.fileno(), sys.stdout.fileno())
        order = channel.receive()
        caller = _pidfd_of_parent(order)
        if order is None or caller is None:
            return _CALLER_GONE
        try:
            return _supervise(order, signals, channel, caller)
        except BrokenPipeError:
            return _CALLER_GONE


def _pidfd_of_parent(order: dict[str, Any] | None) -> int | None:
    """A handle of the caller; None when it has ended before we could take one."""
    if order is None:
        return None
    try:
        caller = open_pidfd(order["caller"])
    except ProcessLookupError:
        return None
    return caller if os.getppid() == order["caller"] else None


def _supervise(order: dict[str, Any], signals: SignalPipe, channel: Channel, caller: int) -> int:
    abort_on = (signals.fileno(), channel.reader, caller)
    try:
        supervisor = Supervisor(
            unpacked_config(order["config"]),
            directory=order["directory"],
            cores=(order["core"], None),
            abort_on=abort_on,
            journal=unpacked_journal(order["journal"]),
            forgets=order["forgets"],
        )
    except (ExchangeError, OSError) as error:
        said = error if isinstance(error, ExchangeError) else ExchangeError(f"cannot make an exchange in {order['directory']}: {error}")
        channel.send(error=packed_error(said))
        return 1
    with supervisor:
        channel.send(ready=True, matcher_pid=supervisor.matcher.pid)
        serve_caller(supervisor, signals, channel, caller)
        trouble = supervisor.stop()
    channel.send(stopped=True, trouble=trouble)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
