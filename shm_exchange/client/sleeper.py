"""Waiting inside an event loop: a thread sleeps in the kernel, without the GIL, so that the loop goes on.

An event loop waits for descriptors, and a word in shared memory has none; nor may the matcher know who reads (I4), so nobody could write to one.
Hence one thread for each handle that is awaited: it sleeps until there is something, on a gateway's futex or, for a reader, between two looks,
and tells the loop. It starts with the first wait, sleeps only while a task awaits, and is called back when that task is canceled or the handle
closed: outside an `await` it touches nothing. Polling with `asyncio.sleep` was rejected: epoll rounds up to 1 ms, and each look runs Python.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from functools import partial

import numpy as np

from shm_exchange.client.waiting import await_other, unpark
from shm_exchange.domain.errors import ExchangeError
from shm_exchange.layout.headers import PARKED
from shm_exchange.shm.segment import Segment

SLICE_NS = 1_000_000_000
"""How long the thread sleeps before the loop asks whether the exchange still exists."""
BURST = 64
"""Records that an iterator hands out before other tasks get their turn."""
_RECALL_SECONDS = 0.001


class Sleeper:
    """What is awaited for one handle.

    look: whether there is something, asked in the loop. sleep: the same, asked in the thread, after at most SLICE_NS. wake: ends a sleep.
    """

    def __init__(self, segment: Segment, look: Callable[[], bool], sleep: Callable[[], bool], wake: Callable[[], object]) -> None:
        self.ended = False
        self._segment = segment
        self._look, self._sleep, self._wake = look, sleep, wake
        self._thread: ThreadPoolExecutor | None = None
        self._job: Future[bool] | None = None

    async def wait(self) -> bool:
        """Until there is something; False once the handle is closed or, with nothing left to take, the exchange gone."""
        gone = False
        while not self.ended:
            if self._look():
                return True
            if gone:
                return False
            if not await self._slept() and not self.ended:
                gone = self._is_gone()
        return False

    def end(self) -> None:
        """The handle is closed: whoever waits is told so, and the thread ends."""
        self.ended = True
        if self._thread is not None:
            self._recall()
            self._thread.shutdown()

    async def _slept(self) -> bool:
        """One sleep of the thread. Raises ExchangeError where another task waits already."""
        from asyncio import wrap_future

        if self._job is not None:
            raise ExchangeError("another task waits on this handle already: let one task read and hand on, or attach a second handle")
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, "shm-exchange-sleeper")
        self._job = self._thread.submit(self._sleep)
        try:
            return await wrap_future(self._job)
        finally:
            self._recall()

    def _recall(self) -> None:
        """Return when the thread sleeps no more. It may be about to sleep when it is woken: so again and again."""
        job, self._job = self._job, None
        while job is not None and not job.done():
            self._wake()
            wait((job,), _RECALL_SECONDS)

    def _is_gone(self) -> bool:
        """Whether nothing can come any more: the exchange was stopped, or all that ran it have died."""
        segment = self._segment
        return not segment.is_current or not (segment.supervisor_alive or segment.matcher_alive)


def word_sleeper(segment: Segment, word: np.ndarray[tuple[int], np.dtype[np.int64]], seen: Callable[[], int]) -> Sleeper:
    """For readers: there is something when a polled word, an array of one, is another than what was `seen`."""
    parked, address = np.zeros(1, PARKED), word.ctypes.data

    def look() -> bool:
        return int(word[0]) != seen()

    def sleep() -> bool:
        return bool(await_other(address, seen(), parked, SLICE_NS))

    return Sleeper(segment, look, sleep, partial(unpark, parked))
