"""A source: a function that makes the items of a pipeline, in whichever way is natural to it.

    def ticks(): yield …            def ticks(put): put(…)            [1, 2, 3]
    async def ticks(): yield …      async def ticks(put): await put(…)

It ends when its function does, or at its next item once it was told to stop, or nobody is left to take one: `put` raises Closed then.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from contextlib import suppress
from functools import partial
from typing import Any, cast

from shm_exchange.domain.errors import Closed, ConfigError
from shm_exchange.pipeline.body import Body, is_async
from shm_exchange.pipeline.queue import Put
from shm_exchange.runtime.functions import imported


class Producing(Body):
    """The one who runs a source; its row counts items that were accepted as processed."""

    def open(self) -> None:
        """As Body says."""
        job = self.job
        function = imported(job.function) if isinstance(job.function, str) else job.function
        self._function: Any = partial(function, *job.arguments) if job.arguments else function
        if job.output is None:
            raise ConfigError(f"source {job.name!r} has no output; give it a queue")
        self._producer = job.output.producer()

    @property
    def is_async(self) -> bool:
        """As Body says."""
        return callable(self._function) and is_async(self._function)

    def run(self) -> None:
        """As Body says."""
        with suppress(Closed):
            for item in self._items():
                self._put(item)

    async def run_async(self) -> None:
        """As Body says."""
        with suppress(Closed):
            if inspect.isasyncgenfunction(getattr(self._function, "func", self._function)):
                async for item in self._function():
                    await self._put_async(item)
            else:
                await self._function(self._put_async)

    def close(self) -> None:
        """As Body says."""
        self._producer.close()

    def _items(self) -> Iterable[Any]:
        """The items of an iterable or a generator; a function that puts for itself leaves none."""
        function = self._function
        if not callable(function):
            return cast("Iterable[Any]", function)
        if inspect.isgeneratorfunction(getattr(function, "func", function)):
            return cast("Iterable[Any]", function())
        function(self._put)
        return ()

    def _put(self, item: Any) -> Put:
        self._check()
        self.is_busy_putting = True
        try:
            done = self._producer.put(item)
        finally:
            self.is_busy_putting = False
        self._count(done)
        return done

    async def _put_async(self, item: Any) -> Put:
        self._check()
        done = await self._producer.put_async(item)
        self._count(done)
        return done

    def _check(self) -> None:
        if self.row["told_to_stop"]:
            raise Closed(f"{self.job.name} was told to stop; return, and nothing is lost")

    def _count(self, done: Put) -> None:
        row = self.row
        row["taken"] += done.accepted
        row["processed"] += done.accepted
        row["refused"] = self._producer.refused
