"""`python -m bench.peer NAME CORE`: a production matcher that can also bounce bare cache lines, so that both are measured in one process pair."""

from __future__ import annotations

import os
import sys

from bench.roundtrips import ECHO, MODE, MODE_SEEN, echo, read_line, set_line
from shm_exchange.matcher.bundles import plain_bundles
from shm_exchange.matcher.loop import STOP_ASKED, run_slice
from shm_exchange.matcher.process import MatcherProcess
from shm_exchange.matcher.rehearsal import rehearse
from shm_exchange.shm.segment import attach


def main() -> None:
    """Match until the mode line says echo, echo until it says match, end at the stop word."""
    name, core = sys.argv[1:]
    os.sched_setaffinity(0, {int(core)})
    rehearse()
    matcher = MatcherProcess(attach(name, write=True))
    bundles = plain_bundles(matcher.bundles)
    lines = bundles.memory.parked
    matcher.announce()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    while True:
        mode = int(read_line(lines, MODE))
        set_line(lines, MODE_SEEN, mode)
        if mode == ECHO:
            echo(lines)
        elif run_slice(bundles.memory, bundles.policy, bundles.book, bundles.outputs, bundles.log, bundles.snapshots) == STOP_ASKED:
            return


if __name__ == "__main__":
    main()
