"""`python -m shm_exchange.supervisor.worker REQUEST ANSWER`: the inside of a spawned process. Both arguments are descriptors of memory files.

Order of events: end with our parents from now on, take our cores, import the function, attach the gateway, call. The answer is the pickled result
and exit status 0, or a traceback as text and status 1; a crash of native code leaves its traceback there too. SIGTERM unwinds the function, so that
its `finally` runs.
"""

from __future__ import annotations

import faulthandler
import json
import logging
import os
import pickle
import signal
import sys
import traceback
from types import FrameType
from typing import Any

from shm_exchange.domain.errors import ExchangeNotFound
from shm_exchange.runtime.affinity import pin
from shm_exchange.runtime.launch import memory_bytes
from shm_exchange.runtime.logs import log_as_told
from shm_exchange.runtime.pidfd import end_with
from shm_exchange.shm import attach, shards_of
from shm_exchange.supervisor.spawn import GRACE_SECONDS, Task, imported

_log = logging.getLogger("shm_exchange.supervisor.worker")  # this module is __main__ here


class _Terminated(BaseException):
    """SIGTERM came."""


def main() -> int:
    """Call the function; 0 when it returned."""
    request, answer = map(int, sys.argv[1:])
    faulthandler.enable(answer)
    signal.signal(signal.SIGTERM, _terminate)
    try:
        head, _, payload = memory_bytes(request).partition(b"\n")
        os.close(request)
        _write(answer, pickle.dumps(_call(Task(*json.loads(head)), payload), protocol=5))
    except SystemExit as leaving:
        return _left(leaving, answer)
    except _Terminated:
        _end_as_told()
    except BaseException:  # noqa: BLE001 (whatever it is, the parent's error tells it)
        _write(answer, traceback.format_exc().encode())
        return 1
    return 0


def _call(task: Task, payload: bytes) -> Any:
    try:
        segments = [attach(name, dead_ok=True, populate=False) for name in shards_of(task.exchange) or (task.exchange,)]
        end_with(task.parents, GRACE_SECONDS, lambda: not all(segment.is_current for segment in segments))
    except (ProcessLookupError, ExchangeNotFound):
        raise SystemExit("the process that spawned this one, or the exchange, ended before it could begin") from None
    if os.getppid() != task.parents[0]:
        raise SystemExit("the process that spawned this one ended before it could begin")
    pin(task.cores)
    log_as_told(f"gateway {task.session}" if task.session else "worker")
    _log.info("calls %s", task.function)
    function = imported(task.function)
    arguments, named = pickle.loads(payload)  # noqa: S301 (our parent, the same user, made it)
    if task.session is None:
        return function(*arguments, **named)
    from shm_exchange.client import Gateway

    with Gateway.attach(task.exchange, session=task.session, account=task.account) as gateway:
        return function(gateway, *arguments, **named)


def _left(leaving: SystemExit, answer: int) -> int:
    """`sys.exit` of the function: nothing or 0 is a good end without a result."""
    if leaving.code is None or leaving.code == 0:
        _write(answer, pickle.dumps(None))
        return 0
    if isinstance(leaving.code, int):
        return leaving.code & 0xFF
    _write(answer, str(leaving.code).encode())
    return 1


def _write(answer: int, content: bytes) -> None:
    with open(answer, "wb", closefd=False) as file:
        file.write(content)


def _terminate(_number: int, _frame: FrameType | None) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    raise _Terminated


def _end_as_told() -> None:
    """Die of the signal that we were sent, so that our exit status says so."""
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    raise SystemExit(main())
