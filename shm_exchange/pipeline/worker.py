"""`python -m shm_exchange.pipeline.worker REQUEST ANSWER READY`: a member of a pipeline as a process. The arguments are descriptors.

Order of events: end with our parent from now on, import the function, open the queues, write one byte to READY, work. ANSWER gets a traceback when
that fails. SIGTERM unwinds the function, so that its `finally` runs, but never tears a `put` apart.
"""

from __future__ import annotations

import asyncio
import faulthandler
import os
import pickle
import signal
import sys
import traceback
from types import FrameType

from shm_exchange.pipeline.body import Body, Handling
from shm_exchange.pipeline.members import Order
from shm_exchange.pipeline.queue import Address
from shm_exchange.pipeline.source import Producing
from shm_exchange.pipeline.table import WORKER, Hand, SharedTable
from shm_exchange.runtime.launch import memory_bytes
from shm_exchange.runtime.logs import log_as_told
from shm_exchange.runtime.pidfd import end_with

_GRACE_SECONDS = 0.5


class _Terminated(BaseException):
    """SIGTERM came."""


def main() -> int:
    """Work; 0 when there was nothing left to do."""
    request, answer, ready = map(int, sys.argv[1:])
    faulthandler.enable(answer)
    try:
        order: Order = pickle.loads(memory_bytes(request))  # noqa: S301 (our parent, the same user, made it)
        os.close(request)
        _end_with(order.parent)
        log_as_told(f"worker {order.job.name}")
        body = _body(order)
        signal.signal(signal.SIGTERM, lambda number, frame: _terminate(body, number, frame))
        body.open()
        os.write(ready, b"+")
        os.close(ready)
        if body.is_async:
            asyncio.run(body.run_async())
        else:
            body.run()
        body.close()
    except _Terminated:
        if body.row["told_to_stop"]:
            body.close()
            return 0
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGTERM)
    except BaseException:  # noqa: BLE001 (whatever it is, the parent's error tells it)
        with open(answer, "wb", closefd=False) as file:
            file.write(traceback.format_exc().encode())
        return 1
    return 0


def _body(order: Order) -> Body:
    row = SharedTable(WORKER, order.rows, order.table_fd).rows[order.row]
    if isinstance(order.job.input, Address):
        return Handling(order.job, row, Hand(order.hand_fd))
    return Producing(order.job, row)


def _end_with(parent: int) -> None:
    try:
        end_with([parent], _GRACE_SECONDS)
    except ProcessLookupError:
        raise SystemExit("the process that started this one ended before it could begin") from None
    if os.getppid() != parent:
        raise SystemExit("the process that started this one ended before it could begin")


def _terminate(body: Body, _number: int, _frame: FrameType | None) -> None:
    """Unwind, unless an item is just being put: the next one is refused then."""
    if not body.is_busy_putting:
        raise _Terminated


if __name__ == "__main__":
    raise SystemExit(main())
