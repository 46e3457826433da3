"""The runner of ready pipelines by itself: what counts as lost, failing checks, a second Ctrl-C, and feeds that refuse."""

from __future__ import annotations

import asyncio
import signal
import threading
from typing import TYPE_CHECKING, Any

import pytest

from shm_exchange.cli import pipeline_run
from shm_exchange.cli.pipeline_feeds import FeedSource
from shm_exchange.cli.pipeline_run import Limits, Line, Ready, run_ready
from shm_exchange.cli.pipeline_watch import Watching
from shm_exchange.cli.screen import Screen
from shm_exchange.domain.errors import ConfigError, ExchangeError
from shm_exchange.pipeline import FeedServer

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class Numbers(Ready):
    """Numbers into a handler."""

    name = "numbers"

    def __init__(self, handle: Callable[[int], object], count: int = 5) -> None:
        super().__init__()
        self.handle, self.count = handle, count
        self.checks = {"fine": True}

    def open(self) -> None:
        link = self.pipeline.queue("numbers", maxsize=self.count)
        self.pipeline.source("count", range(self.count), output=link)
        self.pipeline.sink("handle", self.handle, input=link)

    def lines(self) -> list[Line]:
        return [("count", str(self.count))]

    def figures(self) -> dict[str, Any]:
        return {"checks": self.checks}


def test_all_handled_and_all_checks_hold() -> None:
    got: list[int] = []
    assert run_ready(Numbers(got.append), Screen(), Limits()) == 0
    assert got == list(range(5))


def test_an_exception_or_a_failing_check_is_a_failure(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_ready(Numbers(lambda number: 1 / number), Screen(), Limits()) == 1
    assert "nothing_lost failed" in (said := capsys.readouterr().err)
    assert "ZeroDivisionError" in said
    ready = Numbers(lambda _: None)
    ready.checks["fine"] = False
    assert run_ready(ready, Screen(), Limits()) == 1
    assert "fine failed" in capsys.readouterr().err


def test_ctrl_c_drains_and_a_second_one_does_not_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    let_go, begun = threading.Event(), threading.Event()

    def handle(_: int) -> None:
        begun.set()
        let_go.wait(60)

    class Impatient(Numbers):
        def wait(self, seconds: float) -> bool:
            begun.wait(60)
            signal.raise_signal(signal.SIGINT)
            return super().wait(seconds)

        def quiet(self) -> None:
            if not asked:  # the drain begins
                asked.append(threading.Timer(0.05, signal.raise_signal, (signal.SIGINT,)))
                asked[0].start()

    asked: list[threading.Timer] = []
    ready = Impatient(handle)
    try:
        with pytest.raises(KeyboardInterrupt):
            run_ready(ready, Screen(), Limits())
        asked[0].join()
        stage = ready.metrics().stages[0]
        assert stage.total_dropped == 5, "given up, and counted"
    finally:
        let_go.set()


def test_a_watched_pipeline_warns_above_what_was_asked(tmp_path: Path) -> None:
    begun, let_go = threading.Event(), threading.Event()

    def handle(_: int) -> None:
        begun.set()
        let_go.wait(60)

    class Waiting(Numbers):
        def wait(self, seconds: float) -> bool:
            if watching.warnings.texts:
                let_go.set()
            return super().wait(0.01)

    with Watching(2, tmp_path / "metrics", None) as watching:
        assert run_ready(Waiting(handle), Screen(), Limits(), watching) == 0
    assert any(text.startswith("handle: ") and text.endswith("more than 2") for text in watching.warnings.texts)
    assert 'shm_exchange_pipeline_processed_total{pipeline="numbers",stage="handle"} 5\n' in (tmp_path / "metrics").read_text()


def test_time_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def endless(put: Callable[[int], object]) -> None:
        while True:
            put(1)

    class Endless(Numbers):
        def open(self) -> None:
            link = self.pipeline.queue("numbers", maxsize=5)
            self.pipeline.source("count", endless, output=link)
            self.pipeline.sink("handle", self.handle, input=link)

    assert run_ready(Endless(lambda _: None), Screen(), Limits(0.05)) == 0
    with pytest.raises(ConfigError, match="--seconds"):
        Limits(0).checked()


def test_a_feed_that_refuses_ends_it_with_its_words() -> None:
    async def serve(url: list[str], ready: threading.Event, end: asyncio.Event) -> None:
        async with FeedServer([], api_key="right") as server:
            url.append(server.url)
            ready.set()
            await end.wait()

    url: list[str] = []
    served, end, loop = threading.Event(), asyncio.Event(), asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_until_complete, args=(serve(url, served, end),))
    thread.start()
    try:
        assert served.wait(60)

        class Fed(Numbers):
            def open(self) -> None:
                link = self.pipeline.queue("ticks")
                feed = FeedSource(url[0], ["BTC"])
                self.outside.append(feed)
                self.pipeline.source("feed", feed, output=link)
                self.pipeline.sink("handle", self.handle, input=link)

        with pytest.raises(ExchangeError, match="refused us"):
            run_ready(Fed(lambda _: None), Screen(), Limits())
    finally:
        loop.call_soon_threadsafe(end.set)
        thread.join()
        loop.close()


def test_metrics_that_cannot_be_told(tmp_path: Path) -> None:
    with Watching(None, tmp_path / "nowhere" / "metrics", None) as watching, pytest.raises(ConfigError, match="cannot write the metrics"):
        run_ready(Numbers(lambda _: None), Screen(), Limits(), watching)
    with Watching(None, None, 0) as watching:
        assert watching.url is not None
        port = int(watching.url.rpartition(":")[2].partition("/")[0])
        with pytest.raises(ConfigError, match="another port"):
            Watching(None, None, port)


def test_the_drain_is_patient() -> None:
    assert pipeline_run.DRAIN_SECONDS >= 5
