"""`python -m shm_exchange.matcher NAME`: the matcher process. Started by a supervisor; answers one JSON line on standard output."""

from __future__ import annotations

import logging
import os

from shm_exchange.domain.errors import ExchangeError
from shm_exchange.runtime.logs import log_as_told
from shm_exchange.runtime.role import end_with, outlive_parent, role_parser, say_error
from shm_exchange.shm.segment import attach


def main() -> int:
    """Attach, lock, match; 0 after a clean stop, 1 with the reason on standard output."""
    parser = role_parser("matcher", "Match one exchange that a supervisor has created.")
    parser.add_argument("--parent", type=int, default=os.getppid(), help="the process that starts us")
    parser.add_argument("--end-with-parent", action="store_true", help="end when that process dies")
    parser.add_argument("--standby", action="store_true", help="wait until the matcher that lives dies; until then end with our parent in any case")
    arguments = parser.parse_args()
    log_as_told("matcher")
    if arguments.end_with_parent or arguments.standby:
        end_with(arguments.parent)
    if arguments.core is not None:
        os.sched_setaffinity(0, {arguments.core})
    try:
        segment = attach(arguments.name, arguments.directory, write=True, dead_ok=True)
        # The kernels are only imported here: a name that does not exist should fail in a tenth of a second.
        from shm_exchange.matcher.process import refuse_interpreted, serve

        refuse_interpreted()
        serve(segment, standby=arguments.standby, now_matching=_nothing if arguments.end_with_parent else outlive_parent)
        # The kernel takes everything back at once. Python's own way out visits every machine code of ours first, for a tenth of a second.
        logging.shutdown()
        os._exit(0)
    except ExchangeError as error:
        say_error(error)
        return 1


def _nothing() -> None:
    """A matcher that ends with its parent goes on doing so."""


if __name__ == "__main__":
    raise SystemExit(main())
