"""How every ready pipeline runs: a live view, an end by itself, by time or by Ctrl-C, everything drained, and a verdict.

Ctrl-C stops the sources and drains what is there; a second one does not wait for it. The exit status is 0 only if every check holds.
"""

from __future__ import annotations

import logging
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from shm_exchange.domain.errors import ConfigError
from shm_exchange.pipeline import Figures, Monitor, Pipeline, PipelineMetrics, PoolMetrics

if TYPE_CHECKING:
    from shm_exchange.cli.pipeline_feeds import Outside
    from shm_exchange.cli.pipeline_watch import Watching
    from shm_exchange.cli.screen import Screen

DRAIN_SECONDS = 20.0
_REDRAW_SECONDS = 0.2
_LINE_SECONDS = 1.0
_PATIENCE_SECONDS = 30.0
_LEAST_SECONDS = 0.01
_INTERRUPTED = 130

Line = tuple[str, str]


class Ready(ABC):
    """A pipeline with all that belongs to it, from its making to the verdict. Everything that it opens goes into `stack`."""

    name: str

    def __init__(self) -> None:
        self.stack = ExitStack()
        self.outside: list[Outside] = []
        self.pipeline = Pipeline(self.name)

    @abstractmethod
    def open(self) -> None:
        """Start exchanges and gateways, and build the pipeline. Raises ExchangeError."""

    @abstractmethod
    def lines(self) -> list[Line]:
        """What is going on, in words and figures."""

    @abstractmethod
    def figures(self) -> dict[str, Any]:
        """What came of it, fit for JSON, with `checks`: name -> whether it holds. Caller: it is drained."""

    def metrics(self) -> PipelineMetrics:
        """Of everything in it."""
        return self.pipeline.metrics()

    def wait(self, seconds: float) -> bool:
        """Whether it came to its end within so many seconds. Raises ExchangeError for a source from outside that is no good, and ProcessDied."""
        try:
            self.pipeline.wait(seconds)
            is_over = True
        except TimeoutError:
            is_over = False
        for source in self.outside:
            if source.problem is not None:
                raise source.problem
        return is_over

    def has_begun(self) -> bool:
        """Whether what it is there for has happened at all; until then time does not end it, within reason."""
        return True

    def quiet(self) -> None:
        """Let sources that wait for something outside come to their end. Called before every drain."""
        for source in self.outside:
            source.stop()

    def drain(self) -> None:
        """Stop the sources, and let everything be handled."""
        self.quiet()
        self.pipeline.stop(DRAIN_SECONDS)

    def __enter__(self) -> Self:
        try:
            self.open()
            self.pipeline.start()
        except BaseException:
            self.stack.close()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        with self.stack:
            self.quiet()
            self.pipeline.stop(0.0)


class Limits(NamedTuple):
    """When to end, besides by itself."""

    seconds: float | None = None

    def checked(self) -> Limits:
        """Raises ConfigError."""
        if self.seconds is not None and not 0 < self.seconds < float("inf"):
            raise ConfigError(f"--seconds must be above 0, not {self.seconds:g}")
        return self


def run_ready(ready: Ready, screen: Screen, limits: Limits, watching: Watching | None = None) -> int:
    """From the start to the report; the exit status."""
    from shm_exchange.cli.pipeline_screen import problems, report

    interrupted = False
    with ExitStack() as stack:
        if watching is None:
            stack.enter_context(_calm())
        stack.enter_context(ready)
        monitor = Monitor(ready, watching.warn_above if watching else None)
        try:
            _follow(ready, monitor, screen, limits, watching)
        except KeyboardInterrupt:
            interrupted = True
            screen.say("shm-exchange: draining; Ctrl-C again does not wait")
        ready.drain()
        if watching:
            watching.look(monitor)
            watching.finish()
        metrics = ready.metrics()
        figures = {"pipeline": ready.name, "interrupted": interrupted, **ready.figures()}
    figures["checks"] = {"nothing_lost": nothing_lost(metrics), **figures["checks"]}
    figures["metrics"] = metrics.as_json()
    if watching:
        figures["warnings"] = watching.warnings.texts
    screen.result(figures)
    screen.show(*report(figures["checks"], monitor.look(), ready.lines()))
    found = problems(figures)
    for problem in found:
        screen.say(f"shm-exchange: {problem}")
    return _INTERRUPTED if interrupted else 1 if found else 0


@contextmanager
def _calm() -> Iterator[None]:
    """No word of queues that are full: sources here are as fast as what follows lets them be. `monitor` tells."""
    logger = logging.getLogger("shm_exchange.pipeline")
    logger.addFilter(_is_error)
    try:
        yield
    finally:
        logger.removeFilter(_is_error)


def _is_error(record: logging.LogRecord) -> bool:
    return record.levelno >= logging.ERROR


def _follow(ready: Ready, monitor: Monitor, screen: Screen, limits: Limits, watching: Watching | None) -> None:
    """Tell how it goes until its end: a picture that moves, or a line every second."""
    from shm_exchange.cli.pipeline_screen import line, picture

    began = time.monotonic()
    end = began + limits.seconds if limits.seconds is not None else float("inf")
    due = began + _LINE_SECONDS
    with ExitStack() as stack:
        live = stack.enter_context(screen.live()) if screen.moving else None
        while True:
            now = time.monotonic()
            if watching:
                watching.look(monitor)
            if live is not None:
                live.update(picture(ready, monitor.look(), now - began, screen.err.size), refresh=True)
            elif now >= due:
                due = now + _LINE_SECONDS
                screen.say(line(ready, now - began))
            if now >= end and (ready.has_begun() or now >= end + _PATIENCE_SECONDS):
                return
            if ready.wait(min(_REDRAW_SECONDS, max(_LEAST_SECONDS, end - now))):
                return


def nothing_lost(metrics: PipelineMetrics) -> bool:
    """Whether every item that was accepted was handled well, or made way for a newer one of its key."""
    return all(_is_whole(stage) for stage in metrics.stages) and not any(source.refused for source in metrics.sources)


def _is_whole(stage: PoolMetrics) -> bool:
    handled = stage.total_processed + stage.conflated
    return not (stage.failures or stage.total_dropped or stage.refused or stage.problem) and stage.items_produced == handled


def joined(name: str, metrics: PipelineMetrics, pools: list[PoolMetrics], queues: list[Figures]) -> PipelineMetrics:
    """A pipeline and the pools that its last stage puts into, as one."""
    return PipelineMetrics(name, metrics.sources, (*metrics.stages, *pools), (*metrics.queues, *queues))
