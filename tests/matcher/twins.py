"""`python -m tests.matcher.twins SEED`: every intrinsic on seeded words, the answers as one JSON line. The same with and without the JIT."""

from __future__ import annotations

import json
import sys
import time
from random import Random

import numpy as np

from shm_exchange._intrinsics import (
    crc32c,
    exchange,
    fence_acquire,
    fence_full,
    fence_release,
    fetch_and,
    fetch_or,
    futex_wait,
    futex_wake,
    hash31,
    load_acquire,
    load_relaxed,
    mix64,
    monotonic_ns,
    pause,
    prefetch,
    realtime_ns,
    record_at,
    store_relaxed,
    store_release,
    trailing_zeros,
    yield_core,
)
from shm_exchange._jit import kernel

WORDS = np.dtype([("before", "i8"), ("number", "i8"), ("between", "i8"), ("bits", "u8"), ("after", "i8")])
ROUNDS = 500


@kernel
def use_words(words, number, bits, signed, unsigned):
    """Loads, stores and exchanges of a signed and an unsigned word; the answers go to `signed` and `unsigned`."""
    word = words[0]
    signed[0] = exchange(word, "number", number)
    store_relaxed(word, "number", load_acquire(word, "number") ^ signed[0])
    fence_release()
    unsigned[0] = fetch_or(word, "bits", bits)
    store_release(word, "bits", load_relaxed(word, "bits") ^ (bits >> np.uint64(7)))
    fence_acquire()
    other = record_at(words.ctypes.data, WORDS)
    store_relaxed(other, "after", load_relaxed(other, "number") // 3)
    fence_full()
    unsigned[len(unsigned) - 1] = fetch_and(other, "bits", ~(bits >> np.uint64(1)))
    signed[len(signed) - 1] = load_relaxed(word, "after")
    prefetch(words, 0)
    pause()


@kernel
def compute(number, bits, multiplier):
    """What needs no memory."""
    crc = crc32c(multiplier & 0xFFFFFFFF, bits)
    return trailing_zeros(bits), mix64(number), mix64(bits), hash31(number, multiplier), crc, crc32c(crc, number)


@kernel
def clocks():
    """Both clocks, around a yield."""
    first = monotonic_ns()
    yield_core()
    return first, realtime_ns(), monotonic_ns()


@kernel
def sleep_on(words, expected, timeout_ns):
    """Wait on a word, and wake its sleepers, of whom there are none."""
    return futex_wait(words.ctypes.data, expected, timeout_ns), futex_wake(words.ctypes.data)


def answers(seed: int) -> list[list[int]]:
    """All answers that do not depend on the moment."""
    draw = Random(seed)
    words, found = np.zeros(1, WORDS).view(np.recarray), []
    words["before"], words["between"] = 11, 22
    signed, unsigned = np.zeros(2, np.int64), np.zeros(2, np.uint64)
    edges = [0, 1, 2**63 - 1, 2**62, 2**63, 2**64 - 1]
    for _ in range(ROUNDS):
        number = draw.choice([draw.getrandbits(63), -draw.getrandbits(63), -(2**63), *edges[:4]])
        bits = np.uint64(draw.choice([draw.getrandbits(64), 1 << draw.randrange(64), *edges]))
        use_words(words, number, bits, signed, unsigned)
        found.append([*words[0].tolist(), *signed.tolist(), *unsigned.tolist()])
        found.append([int(value) for value in compute(abs(number) >> 2, bits, draw.getrandbits(62) | 1)])
    return found


def moments() -> dict[str, bool]:
    """Claims about clocks and futexes."""
    before, real = time.monotonic_ns(), time.time_ns()
    first, realtime, last = clocks()
    after = time.monotonic_ns()
    words = np.zeros(1, np.int64)
    sleep_on(words, 0, 1000)
    started = time.monotonic_ns()
    timed_out, woken = sleep_on(words, 0, 20_000_000)
    return {
        "the clock is the monotonic one": before <= first <= last <= after,
        "the other is the real one": real <= realtime <= time.time_ns(),
        "a wait times out": timed_out == -1 and time.monotonic_ns() - started >= 20_000_000,
        "nobody was woken": woken == 0,
        "a wait for what has changed already ends at once": sleep_on(words, 1, 10**15) == (-1, 0),
    }


if __name__ == "__main__":
    print(json.dumps({"answers": answers(int(sys.argv[1])), "moments": moments()}))
