"""A matcher in this very process, stepped by hand, and raw ends of lanes: what the loop does becomes a matter of counting, not of time."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from shm_exchange.domain.enums import CommandKind, OrderType, SelfTradePrevention, Side, TimeInForce
from shm_exchange.domain.limits import POSITION_BITS
from shm_exchange.domain.names import name_words
from shm_exchange.layout.records import COMMAND, COMMAND_WORDS, LOGON, REPORT
from shm_exchange.layout.regions import Writer
from shm_exchange.matcher.process import MatcherProcess
from shm_exchange.ring.lane import new_producer, submit_many
from shm_exchange.ring.reports import READER, acknowledge, take_reports
from shm_exchange.shm import Segment, attach, create
from tests.litmus.exchanges import small_config

NEVER_PARK = 1 << 40


class RawGateway:
    """The two rings of a session, without a client library: nothing is checked, nothing is waited for."""

    def __init__(self, segment: Segment, session: int) -> None:
        assert segment.try_lock(session)
        self.session = session
        self.own = segment.writable(Writer.GATEWAY, session)
        number = slice(session, session + 1)
        self.producer = new_producer(self.own["lane"], segment.array("lane_heads")[number], self.own["activity"], self.own["parked"][:1], session)
        capacity = segment.config.report_capacity
        self._reports = segment.array("reports")[(session - 1) * capacity : session * capacity]
        self._tail = segment.array("report_tails")[number]
        self._reader = np.zeros(1, READER).view(np.recarray)
        self._reader[0].next_report = self.own["report_head"][0].head = 1
        self.segment = segment

    @property
    def waiting(self) -> int:
        """Commands in the lane that the matcher has not taken."""
        return int(self.producer[0].position - self.segment.array("lane_heads")[self.session].head)

    def submit(self, commands: np.ndarray) -> int:
        """Put COMMAND records into the lane; returns how many fitted."""
        words = np.ascontiguousarray(commands).view(np.ndarray).view(COMMAND_WORDS).view(np.recarray)
        return int(submit_many(self.producer.ctypes.data, words, 0))

    def log_on(self) -> None:
        """Ask for a logon as a session of that number's name."""
        logon = np.zeros(1, LOGON)
        logon["kind"] = CommandKind.LOGON
        logon["session_low"], logon["session_high"] = logon["account_low"], logon["account_high"] = name_words(f"s{self.session}")
        assert self.submit(logon.view(COMMAND)) == 1

    def reports(self) -> np.ndarray[Any, np.dtype[np.void]]:
        """All reports that are there, acknowledged."""
        out = np.zeros(1024, REPORT).view(np.recarray)
        count = take_reports(self._reader, self._reports, self._tail, out)
        acknowledge(self._reader, self.own["report_head"])
        return out[:count].view(np.ndarray)


def orders(count: int, side: Side = Side.BUY, price_ticks: int = 100) -> np.ndarray:
    """Limit orders of one lot."""
    commands = np.zeros(count, COMMAND)
    commands["kind"], commands["order_type"], commands["time_in_force"] = CommandKind.ENTER, OrderType.LIMIT, TimeInForce.GTC
    commands["self_trade"], commands["side"], commands["price_ticks"], commands["quantity"] = SelfTradePrevention.NONE, side, price_ticks, 1
    return commands


class Rig:
    """A created exchange whose matcher runs only when told."""

    def __init__(self, created: Segment, segment: Segment) -> None:
        self.control = created.writable(Writer.SUPERVISOR)["control"]
        self.control[0].spin_polls = NEVER_PARK
        self.segment = segment
        self.matcher = MatcherProcess(segment)
        self.bundles = self.matcher.bundles
        self._stepping = self.bundles.policy._replace(slice_ns=0)

    @property
    def log(self) -> np.ndarray:
        """All that was swept, in the order of the log. Valid while the log has not wrapped."""
        return self.segment.array("log").view(np.ndarray)[: self.segment.array("matcher")[0].log_tail]

    def step(self) -> None:
        """One sweep that finds something and its matching, or a few that find nothing."""
        self.matcher._slice(self._stepping)

    def gateways(self, count: int) -> list[RawGateway]:
        """Sessions 1 … count, logged on."""
        found = [RawGateway(attach(self.segment.name, self.segment._root.directory, write=True), session) for session in range(1, count + 1)]
        for gateway in found:
            gateway.log_on()
        while any(gateway.waiting for gateway in found):
            self.step()
        for gateway in found:
            assert len(gateway.reports()) == 1
        return found

    def session_of(self, first: int) -> list[int]:
        """Whose commands the log holds, from log number `first` on."""
        return (self.log["command_id"][first:] >> POSITION_BITS).tolist()


@contextmanager
def rigged(**sizes: int) -> Iterator[Rig]:
    """An exchange of this process alone."""
    directory = tempfile.mkdtemp(prefix="shm_rig-", dir="/dev/shm")
    try:
        config = small_config(**sizes)
        with create(config, directory) as created, attach(config.name, directory, write=True) as segment:
            yield Rig(created, segment)
    finally:
        shutil.rmtree(directory)
