"""`python -m bench.peers.play MODULE FLOW OUT SECONDS CORE`: one flow through one engine, in its own environment: nothing is imported but the engine.

Twice, each time from an empty book: once without a clock between the calls, for the rate, and once with, for the percentiles. Each time it stops
after SECONDS, so that a slow engine costs no evening. Results go to files: an engine may print what it likes.
"""

from __future__ import annotations

import json
import os
import sys
import time
from array import array
from collections.abc import Iterable
from importlib import import_module
from pathlib import Path

from bench.peers.engines import Engine

Message = tuple[int, int, int, int, int, int]
"""Kind (0 new, 1 cancel, 2 replace), side, ioc, quantity, order id, price."""
WORDS = 6
RESULT, SAMPLES = "result.json", "samples.i8"
_CHUNK = 64
"""Messages between two looks at the clock."""


def read_flow(path: Path) -> list[Message]:
    """The messages of a file of int64 words, six to each."""
    words = array("q")
    words.frombytes(path.read_bytes())
    columns = iter(words)
    return list(zip(*[columns] * WORDS, strict=True))


def play(engine: Engine, messages: Iterable[Message]) -> None:
    """Each message as the call that it is."""
    new, cancel, replace = engine.new, engine.cancel, engine.replace
    for kind, side, ioc, quantity, order_id, price in messages:
        if kind == 0:
            new(order_id, side, price, quantity, ioc)
        elif kind == 1:
            cancel(order_id)
        else:
            replace(order_id, side, price, quantity)


def rate(engine: Engine, flow: list[Message], seconds: float) -> tuple[int, float]:
    """(messages played, seconds they took)."""
    start = time.perf_counter()
    for first in range(0, len(flow), _CHUNK):
        play(engine, flow[first : first + _CHUNK])
        passed = time.perf_counter() - start
        if passed > seconds:
            return min(first + _CHUNK, len(flow)), passed
    return len(flow), time.perf_counter() - start


def latencies(engine: Engine, flow: list[Message], seconds: float) -> array[int]:
    """Nanoseconds of each call, with the cost of one clock read, some 50 ns."""
    samples = array("q")
    new, cancel, replace = engine.new, engine.cancel, engine.replace
    clock, end = time.perf_counter_ns, time.perf_counter_ns() + int(seconds * 1e9)
    for kind, side, ioc, quantity, order_id, price in flow:
        before = clock()
        if kind == 0:
            new(order_id, side, price, quantity, ioc)
        elif kind == 1:
            cancel(order_id)
        else:
            replace(order_id, side, price, quantity)
        after = clock()
        samples.append(after - before)
        if after > end:
            break
    return samples


def main() -> None:
    """Play, and leave the figures in OUT."""
    module, flow_path, out, seconds, core = sys.argv[1:]
    os.sched_setaffinity(0, {int(core)})
    adapter: type[Engine] = import_module(module).Adapter
    flow = read_flow(Path(flow_path))
    engine = adapter()
    played, taken = rate(engine, flow, float(seconds))
    result = {"messages": played, "seconds": taken, "trades": engine.trades()}
    engine.close()
    engine = adapter()
    samples = latencies(engine, flow, float(seconds))
    engine.close()
    (Path(out) / SAMPLES).write_bytes(samples.tobytes())
    (Path(out) / RESULT).write_text(json.dumps(result))


if __name__ == "__main__":
    main()
