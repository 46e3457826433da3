"""A reader that watches everything: rebuilds all books order by order from the events, reads every snapshot, and compares in the end."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from shm_exchange.client import BookReplica, MarketView
from shm_exchange.domain.enums import Side
from shm_exchange.domain.errors import EventsLost, SnapshotBusy
from shm_exchange.participants.board import FINISHED, PARENT_ROW, WATCHER_ROW, open_board
from shm_exchange.shm import attach

_NAP_SECONDS = 0.0005


def watch(name: str, board: str, levels: int = 5) -> dict[str, Any]:
    """Follow exchange `name` until the parent says stop on the board; returns what was found, and the best `levels` of every ladder.

    The parent lets the matcher verify its book before it says stop: the hashes it published then are compared with the replica's.
    """
    rows = open_board(board)
    watching = _Watching(name)
    rows[WATCHER_ROW]["ready"] = 1
    try:
        while not watching.look_last(bool(rows[PARENT_ROW]["stop"])):
            rows[WATCHER_ROW]["events"] = watching.events
    except EventsLost as lost:
        return {"lost": lost.last - lost.first + 1, "problem": str(lost), "ladders": {}}
    finally:
        rows[WATCHER_ROW]["events"] = FINISHED
    return watching.findings(levels)


class _Watching:
    def __init__(self, name: str) -> None:
        self._replica = BookReplica.attach(name)
        self._segment = attach(name)
        self._symbols = [instrument.symbol for instrument in self._segment.config.instruments]
        self._views = {symbol: MarketView.attach(name, symbol) for symbol in self._symbols}
        self._newest = dict.fromkeys(self._symbols, (0, 0, 0))
        self._snapshots = self._busy = self._backwards = 0

    @property
    def events(self) -> int:
        return self._replica.event_number

    def look_last(self, last: bool) -> bool:
        """Take all new events, then read every snapshot; `last`, which was read before, is given back."""
        fresh = self._replica.update()
        for symbol, view in self._views.items():
            try:
                depth = view.top()
            except SnapshotBusy:
                self._busy += 1
                continue
            stamps = (depth.version, depth.event_number, depth.time_ns)
            self._backwards += any(now < before for now, before in zip(stamps, self._newest[symbol], strict=True))
            self._newest[symbol] = stamps
            self._snapshots += 1
        if not fresh and not last:
            time.sleep(_NAP_SECONDS)
        return last

    def findings(self, levels: int) -> dict[str, Any]:
        hashes = np.asarray(self._segment.array("snapshot_latest")["book_hash"])
        return {
            "events": self.events,
            "lost": 0,
            "problem": "",
            "snapshots": self._snapshots,
            "snapshots_busy": self._busy,
            "snapshots_backwards": self._backwards,
            "hashes_agree": {symbol: self._replica.book_hash(symbol) == int(hashes[index]) for index, symbol in enumerate(self._symbols)},
            "tops_agree": {symbol: self._top_agrees(symbol) for symbol in self._symbols},
            "ladders": {symbol: self._ladder(symbol, levels) for symbol in self._symbols},
        }

    def _top_agrees(self, symbol: str) -> bool:
        """Whether the snapshot shows exactly the best levels of the replica."""
        depth, size = self._views[symbol].depth(), self._segment.config.depth
        return (depth.bids, depth.asks) == tuple(self._replica.levels(side, symbol)[:size] for side in Side)

    def _ladder(self, symbol: str, levels: int) -> dict[str, list[tuple[str, str, int]]]:
        """(price, quantity, orders) of the best levels of each side, from the replica, as text."""
        ladder = {}
        for side in Side:
            best = self._replica.levels(side, symbol)[:levels]
            ladder[side.name.lower()] = [(str(price), str(quantity), len(self._replica.orders(price, symbol))) for price, quantity in best]
        return ladder
