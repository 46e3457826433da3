"""Coroutines as members: asyncio at the edge of a pipeline."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

from shm_exchange.pipeline.body import Body
from shm_exchange.pipeline.members import Member, told


class Loop:
    """One event loop in a thread of its own, for all coroutines of a pipeline; made for the first of them."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.Thread(target=self._run, name="event loop", daemon=True)

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The running loop."""
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            self._thread.start()
        return self._loop

    def close(self) -> None:
        """Cancel what still runs, and end."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()

    def _run(self) -> None:
        loop = self._loop
        assert loop is not None
        loop.run_forever()
        loop.run_until_complete(_cancel_all())
        loop.run_until_complete(loop.shutdown_asyncgens())


async def _cancel_all() -> None:
    left = asyncio.all_tasks() - {asyncio.current_task()}
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)


class TaskMember(Member):
    """A task of the loop."""

    def __init__(self, body: Body, loop: Loop, wake: Callable[[], None]) -> None:
        super().__init__(body.job.name)
        self._body = body
        self._wake = wake
        self._loop = loop.loop
        self._is_ready = False
        self._has_ended = False
        self._news = threading.Event()
        self._task: asyncio.Task[None] | None = None
        self._loop.call_soon_threadsafe(self._begin)

    @property
    def is_ready(self) -> bool:
        """As Member says."""
        return self._is_ready

    @property
    def has_ended(self) -> bool:
        """As Member says."""
        return self._has_ended

    def wait_ready(self) -> None:
        """As Member says."""
        self._news.wait()

    def interrupt(self) -> None:
        """As Member says: a cancelled `put` has put nothing."""
        self._loop.call_soon_threadsafe(self._cancel_task)

    def cancel(self) -> None:
        """As Member says."""
        self._body.abandon()
        self.interrupt()

    def _cancel_task(self) -> None:
        if self._task is not None:
            self._task.cancel()

    def _begin(self) -> None:
        self._task = self._loop.create_task(self._live())

    async def _live(self) -> None:
        try:
            self._body.open()
            self._is_ready = True
            self._news.set()
            try:
                await self._body.run_async()
            finally:
                self._body.close()
        except asyncio.CancelledError:
            if not self._body.row["told_to_stop"]:
                self.problem = f"{self.name} was canceled"
        except BaseException:  # noqa: BLE001 (its watcher tells)
            self.problem = told(self.name)
        finally:
            self._has_ended = True
            self._news.set()
            self._wake()
