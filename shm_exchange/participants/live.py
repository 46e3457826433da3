"""`partake`: one participant on a real exchange, through a gateway of its own, timed and recorded where a killed one's numbers survive.

It sleeps: until a report wakes it, a moment of its own is due, or it is time to look at the prices. Nobody here ever spins.
"""

from __future__ import annotations

import os
import time
from collections import deque
from typing import Self

import numpy as np

from shm_exchange.client import EventFeed, Gateway
from shm_exchange.client.plain import Records, plain
from shm_exchange.client.view import index_of
from shm_exchange.domain.enums import EventKind
from shm_exchange.domain.errors import EventsLost, ReportsLost
from shm_exchange.domain.limits import POSITION_BITS
from shm_exchange.layout.headers import PRICE_LEVEL, SNAPSHOT
from shm_exchange.layout.records import COMMAND
from shm_exchange.participants.clear import cancel_all, check_matcher
from shm_exchange.participants.flow_behaviour import FlowBehaviour
from shm_exchange.participants.histogram import bucket_of
from shm_exchange.participants.ledger import fold_reports, open_ledger
from shm_exchange.participants.participant import Participant, Setting
from shm_exchange.participants.quotes import Command, Quote, records
from shm_exchange.participants.recorder import DONE, ENDING, READY, RUNNING, open_recorder
from shm_exchange.shm.segment import Segment, attach
from shm_exchange.snapshot.slots import Snapshots, read_snapshot

_BATCH = 64
_NAP_SECONDS = 0.002
_SLEEP_SECONDS = 0.05
_LOOK_SECONDS = 0.5
_GRACE_NS = 2_000_000_000
"""How long after its end it waits for answers."""


def partake(gateway: Gateway, setting: Setting, recorder: str, ledgers: str, row: int, niceness: int = 0) -> int:
    """Run one participant, from the moment that the parent says in the recorder at that path; returns how many open orders were canceled at the end.

    Raises ExchangeError when the matcher dies, ConfigError.
    """
    if niceness:
        os.nice(niceness)
    with _Running(gateway, setting, recorder, ledgers, row) as running:
        return running.run()


class _Glance:
    """The touch of one symbol, here or on another exchange."""

    def __init__(self, segment: Segment, symbol: str) -> None:
        self._snapshots = Snapshots(*(plain(segment.array(name)) for name in ("snapshot_latest", "snapshots", "snapshot_levels")))
        self._index = index_of(segment, symbol)
        self._depth = segment.config.depth
        self._head, self._levels = np.zeros(1, SNAPSHOT), np.zeros(2 * self._depth, PRICE_LEVEL)
        self._versions = self._snapshots.latest["version"]
        self._version = 0

    def quote(self, volume: int) -> Quote | None:
        """The touch, where it is another than last time."""
        version = int(self._versions[self._index])
        if version == self._version or read_snapshot(self._snapshots, self._index, self._head, self._levels) <= 0:
            return None
        self._version = version
        head = self._head[0]
        bid, bid_lots = self._levels[0].item() if head["bid_count"] else (0, 0)
        ask, ask_lots = self._levels[self._depth].item() if head["ask_count"] else (0, 0)
        last = int(head["last_price_ticks"]), int(head["last_quantity"])
        return Quote(bid, bid_lots, ask, ask_lots, *last, volume, int(head["event_number"]))


class _Running:
    def __init__(self, gateway: Gateway, setting: Setting, recorder: str, ledgers: str, row: int) -> None:
        self._gateway, self._setting = gateway, setting
        self._segments = {gateway.name: attach(gateway.name, populate=False)}
        config = self._segments[gateway.name].config
        record = open_recorder(recorder)[row : row + 1]
        self._parent, self._row = record["parent"], record["row"]
        self._latency, self._service = record["latency"][0], record["service"][0]
        self._ledger = open_ledger(ledgers, len(config.instruments), row)
        self._participant = Participant(setting, config, self._ledger)
        self._symbols = [instrument.symbol for instrument in config.instruments]
        self._glances = {symbol: self._glance(symbol) for symbol in (*setting.symbols, *setting.watched)}
        self._feed = EventFeed.attach(gateway.name) if self._participant.behaviour.watches_trades else None
        self._volumes = dict.fromkeys(range(len(self._symbols)), 0)
        self._unsent: deque[tuple[int, Command]] = deque()
        self._asked: deque[tuple[int, int, int]] = deque()
        """(command id, when it was to reach the exchange, when it did), of those that have no answer yet, in order."""
        self._look_ns = self._checked_ns = 0
        cancel_all(gateway)  # what an earlier holder of the session left
        self._next_id = gateway.submit_many(np.zeros(0, COMMAND)).first_id

    def run(self) -> int:
        """From ready to done."""
        participant, own = self._participant, self._setting
        self._row["state"] = READY
        start_ns = self._await_start()
        self._row["began_ns"] = start_ns
        self._row["state"] = RUNNING
        end_ns = start_ns + int(own.seconds * 1e9) if own.seconds else 0
        self._see(start_ns)
        participant.step(start_ns)
        participant.start(start_ns, end_ns, self._next_id)
        while not self._is_over(end_ns):
            self._turn(own.look_ns)
        participant.stop(time.monotonic_ns())
        deadline_ns = time.monotonic_ns() + _GRACE_NS
        while (participant.has_unsent or self._unsent or self._asked) and time.monotonic_ns() < deadline_ns:
            self._turn(own.look_ns)
        self._row["state"] = ENDING
        canceled = 0 if own.keep else cancel_all(self._gateway, self._fold)
        self._row["dropped"] += len(self._unsent)
        self._row["state"] = DONE
        return canceled

    def _is_over(self, end_ns: int) -> bool:
        return bool(self._parent["stop"][0]) or (0 < end_ns <= time.monotonic_ns()) or self._participant.is_done

    def _await_start(self) -> int:
        """The parent's word, and the moment it says."""
        while not self._parent["start_ns"][0]:
            time.sleep(_NAP_SECONDS)
        start_ns = int(self._parent["start_ns"][0])
        time.sleep(max(0.0, (start_ns - time.monotonic_ns()) / 1e9))
        return start_ns

    def _turn(self, look_ns: int) -> None:
        """Take, look, act, send; then sleep until there is something to do."""
        participant = self._participant
        self._take()
        now_ns = time.monotonic_ns()
        if now_ns >= self._look_ns:
            self._look_ns = now_ns + look_ns
            self._see(now_ns)
        participant.step(now_ns)
        self._send()
        next_ns = participant.next_ns()
        until_ns = self._look_ns if next_ns is None else min(self._look_ns, next_ns)
        left = (until_ns - time.monotonic_ns()) / 1e9
        if left > 0 and not self._unsent:
            self._gateway.wait(min(left, _SLEEP_SECONDS))
        elif self._unsent:
            self._gateway.wait(_NAP_SECONDS)
        if now_ns - self._checked_ns > _LOOK_SECONDS * 1e9:
            self._checked_ns = now_ns
            check_matcher(self._gateway)

    def _take(self) -> None:
        """What was reported goes into the ledger before it is acknowledged, and on its way to the behaviour."""
        try:
            reports = self._gateway.poll_array()
        except ReportsLost as lost:
            self._row["reports_lost"] += lost.last - lost.first + 1
            self._asked.clear()
            self._participant.forget()
            self._fold(self._gateway.poll_array())
            cancel_all(self._gateway, self._fold)
            return
        if not len(reports):
            return
        seen_ns = time.monotonic_ns()
        self._participant.heard(seen_ns, reports)
        executed = reports["kind"] == EventKind.EXECUTED
        self._row["fills"] += int(executed.sum())
        for cause_id, kind in reports[["cause_id", "kind"]][~executed].tolist():
            self._answered(cause_id, kind, seen_ns)
        behaviour = self._participant.behaviour
        if isinstance(behaviour, FlowBehaviour):
            self._row["misfits"] = behaviour.misfits

    def _answered(self, cause_id: int, kind: int, seen_ns: int) -> None:
        """The first report that a command of ours caused is its answer: time it."""
        while self._asked and self._asked[0][0] <= cause_id and cause_id >> POSITION_BITS == self._gateway.number:
            command_id, planned_ns, sent_ns = self._asked.popleft()
            if command_id != cause_id:
                continue
            row, latency, service = self._row, seen_ns - planned_ns, seen_ns - sent_ns
            self._latency[bucket_of(latency)] += 1
            self._service[bucket_of(service)] += 1
            row["latency_max"], row["service_max"] = max(int(row["latency_max"][0]), latency), max(int(row["service_max"][0]), service)
            row["answered"] += 1
            row["rejected"] += kind == EventKind.REJECTED
            row["ended_ns"] = seen_ns

    def _see(self, now_ns: int) -> None:
        """Look at the prices, and at the trades where they are watched."""
        if self._feed is not None:
            self._count_trades(self._feed)
        for symbol, glance in self._glances.items():
            volume = self._volumes[self._symbols.index(symbol)] if symbol in self._symbols else 0
            if (quote := glance.quote(volume)) is not None:
                self._participant.saw(now_ns, symbol, quote)

    def _count_trades(self, feed: EventFeed) -> None:
        while True:
            try:
                events = feed.poll_array()
            except EventsLost:
                continue  # a volume that is too low makes an executor slower, never wrong
            if not len(events):
                return
            trades = events[events["kind"] == EventKind.EXECUTED]
            for number in np.unique(trades["instrument"]).tolist():
                self._volumes[number] += int(trades["quantity"][trades["instrument"] == number].sum())

    def _send(self) -> None:
        """What has reached the exchange by now goes into the lane, as far as that has room."""
        now_ns = time.monotonic_ns()
        self._unsent += self._participant.due(now_ns, _BATCH)
        if not self._unsent:
            return
        wanted = [self._unsent[index] for index in range(min(len(self._unsent), _BATCH))]
        count = self._gateway.submit_many(records([command for _, command in wanted])).submitted
        for planned_ns, _ in wanted[:count]:
            self._asked.append((self._next_id, planned_ns, now_ns))
            self._next_id += 1
            self._unsent.popleft()
        self._row["sent"] += count
        self._row["lane_full"] += count < len(wanted)

    def _fold(self, reports: Records) -> None:
        """Of what comes while orders are being canceled, only fills matter."""
        fold_reports(self._ledger, plain(reports))
        self._row["fills"] += int((reports["kind"] == EventKind.EXECUTED).sum())

    def _glance(self, symbol: str) -> _Glance:
        name, _, exchange = symbol.partition("@")
        exchange = exchange or self._gateway.name
        if exchange not in self._segments:
            self._segments[exchange] = attach(exchange, populate=False)
        return _Glance(self._segments[exchange], name)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._feed is not None:
            self._feed.close()
        for segment in self._segments.values():
            segment.close()
