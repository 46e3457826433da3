"""`python -m shm_exchange.keeper NAME`: the keeper process. Started by a supervisor; answers one JSON line on standard output."""

from __future__ import annotations

import logging
import os

from shm_exchange.domain.errors import ExchangeError
from shm_exchange.runtime.logs import log_as_told
from shm_exchange.runtime.role import role_parser, say_error
from shm_exchange.shm.segment import attach


def main() -> int:
    """Attach, lock, keep; 0 when the exchange has stopped, 1 with the reason on standard output."""
    arguments = role_parser("keeper", "Write the log of one exchange to its journal.").parse_args()
    log_as_told("keeper", otherwise=logging.StreamHandler())  # standard error: told when it dies
    if arguments.core is not None:
        os.sched_setaffinity(0, {arguments.core})
    try:
        segment = attach(arguments.name, arguments.directory, write=True, dead_ok=True)
        from shm_exchange.keeper.process import KeeperProcess, serve

        serve(KeeperProcess(segment))
        logging.shutdown()
        os._exit(0)
    except (ExchangeError, OSError) as error:
        say_error(error)
        return 1


if __name__ == "__main__":
    raise SystemExit(main())
