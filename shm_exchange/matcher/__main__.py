"""`python -m shm_exchange.matcher NAME`: the matcher process. Started by a supervisor; answers one JSON line on standard output."""

from __future__ import annotations

import argparse
import ctypes
import json
import logging
import os
import signal
import sys

from shm_exchange.domain.errors import ExchangeError
from shm_exchange.runtime.logs import log_as_told
from shm_exchange.shm.root import SHM_DIR
from shm_exchange.shm.segment import attach

_PR_SET_PDEATHSIG = 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m shm_exchange.matcher", description="Match one exchange that a supervisor has created.")
    parser.add_argument("name")
    parser.add_argument("--directory", default=SHM_DIR, help="where its files lie")
    parser.add_argument("--core", type=int, help="pin to this core")
    parser.add_argument("--end-with-parent", action="store_true", help="end when the process that started us dies")
    parser.add_argument("--standby", action="store_true", help="wait until the matcher that lives dies; until then end with our parent in any case")
    return parser.parse_args()


def _end_with(parent: int) -> None:
    """Ask the kernel for SIGTERM when our parent dies; it may have died before we asked."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:
        raise SystemExit("the supervisor died before the matcher was ready")


def _outlive_parent() -> None:
    """A standby that has become the matcher goes on when its parent dies."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, 0)


def _nothing() -> None:
    """A matcher that ends with its parent goes on doing so."""


def main() -> int:
    """Attach, lock, match; 0 after a clean stop, 1 with the reason on standard output."""
    parent = os.getppid()
    arguments = _arguments()
    log_as_told("matcher")
    if arguments.end_with_parent or arguments.standby:
        _end_with(parent)
    if arguments.core is not None:
        os.sched_setaffinity(0, {arguments.core})
    try:
        segment = attach(arguments.name, arguments.directory, write=True, dead_ok=True)
        # The kernels are only imported here: a name that does not exist should fail in a tenth of a second.
        from shm_exchange.matcher.process import refuse_interpreted, serve

        refuse_interpreted()
        serve(segment, standby=arguments.standby, stays=_nothing if arguments.end_with_parent else _outlive_parent)
        # The kernel takes everything back at once. Python's own way out visits every machine code of ours first, for a tenth of a second.
        logging.shutdown()
        os._exit(0)
    except ExchangeError as error:
        sys.stdout.write(json.dumps({"error": str(error)}) + "\n")
        return 1


if __name__ == "__main__":
    raise SystemExit(main())
