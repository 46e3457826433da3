"""How long an order takes from Python: submitted, matched, and its report in our hands. Warmed up first, every sample kept."""

import os
import time

import numpy as np

from shm_exchange import Exchange, Gateway, Instrument, Side

NAME = f"own-benchmark-{os.getpid()}"
SAMPLES = 20_000


def round_trips(gateway: Gateway, count: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Durations in ns, one order after the other."""
    durations = np.zeros(count, np.int64)
    for index in range(count):
        began = time.perf_counter_ns()
        order_id = gateway.limit("ACME", Side.BUY, price_ticks=9_950, quantity=1)
        gateway.wait()
        gateway.poll()
        durations[index] = time.perf_counter_ns() - began
        gateway.cancel(order_id)  # outside the clock: the book stays small
        gateway.wait()
        gateway.poll()
    return durations


def main() -> None:
    with Exchange.start(NAME, [Instrument("ACME")]), Gateway.attach(NAME, session="clock") as gateway:
        round_trips(gateway, SAMPLES // 10)
        durations = round_trips(gateway, SAMPLES) / 1_000
        for percent in (50, 90, 99, 99.9, 100):
            print(f"  p{percent:<5} {np.percentile(durations, percent):10.1f} µs")
        print(f"{SAMPLES} orders, each sent after the answer to the last: a closed loop, which hides queues; `python -m bench` has open ones")


if __name__ == "__main__":
    main()
