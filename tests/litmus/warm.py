"""Imported once by the server that children are forked from: it uses every kernel that programs use, so that no child loads it again."""

from __future__ import annotations

from threading import Thread

from shm_exchange.client import EventFeed, Gateway, MarketView
from shm_exchange.domain.enums import Side
from shm_exchange.matcher.process import MatcherProcess
from shm_exchange.shm import attach, create
from tests.litmus import programs
from tests.litmus.exchanges import small_config
from tests.litmus.flow import commands_from, next_id


def _use_all(name: str) -> None:
    with Gateway.attach(name, session="warm") as gateway, MarketView.attach(name, "ACME") as view, EventFeed.attach(name) as feed:
        gateway.limit("ACME", Side.BUY, "1.00", 1)
        gateway.submit_many(commands_from(next_id(gateway), 1))
        gateway.wait(1.0)
        gateway.poll_array()
        gateway.ack()
        while gateway.wait(0.01):
            gateway.poll()
        view.depth()
        feed.poll_array()


def warm() -> None:
    """A tiny exchange of this process, whose matcher is a thread."""
    config = small_config(max_sessions=1)
    with create(config) as created, attach(config.name, write=True) as segment:
        matcher = MatcherProcess(segment)
        matcher.announce()
        thread = Thread(target=matcher.run)
        thread.start()
        try:
            _use_all(config.name)
        finally:
            matcher.ask_to_stop()
            thread.join()
            created.destroy()


assert programs
warm()
